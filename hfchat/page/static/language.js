// The page's language, which the server chose by the visitor's choice or their browser's, and its sentences.
import { constants } from "./constants.js";

export const { language } = constants;
// The words that Gradio gets are this language's in the place of its English ones: whatever the browser's is, it takes these.
for (const [name, value] of [["language", "en"], ["languages", ["en"]]]) Object.defineProperty(navigator, name, { value });

// The page's sentences; those of the list of conversations; those about pictures.
export const { history: historySays, pictures: pictureSays, ...says } = constants.says;

const numbers = new Intl.NumberFormat(language), plurals = new Intl.PluralRules(language);

// A sentence with its particulars. Where it has plural forms, its {count} says which.
export function fill(text, values) {
  const form = typeof text === "string" ? text : text[plurals.select(values.count)] ?? text.other;
  const written = (value) => (typeof value === "number" ? numbers.format(value) : value);
  return form.replace(/\{(\w+)\}/g, (sign, name) => written(values[name]) ?? sign);
}

export function speak(other) {
  const frame = location.protocol === "https:" ? "; SameSite=None; Secure; Partitioned" : "; SameSite=Lax";
  document.cookie = `hfchat_language=${other}; Path=/; Max-Age=31536000${frame}`;
}
