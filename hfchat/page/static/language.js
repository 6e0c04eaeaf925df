// The language that a visitor chose is in a cookie, which the server reads too. Gradio asks the browser for its language.
import { constants } from "./constants.js";

const chosen = /(?:^|; )hfchat_language=([\w-]+)/.exec(document.cookie)?.[1];
if (Object.hasOwn(constants.says, chosen)) {
  Object.defineProperty(navigator, "language", { value: chosen });
  Object.defineProperty(navigator, "languages", { value: [chosen] });
}
const tag = navigator.language.split("-")[0].toLowerCase(), language = Object.hasOwn(constants.says, tag) ? tag : "en";
document.documentElement.lang = language;

// The page's sentences; those of the list of conversations; those about pictures.
export const { history: historySays, pictures: pictureSays, ...says } = constants.says[language];

// A sentence with its particulars.
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (sign, name) => values[name] ?? sign);

export function speak(other) {
  const frame = location.protocol === "https:" ? "; SameSite=None; Secure; Partitioned" : "; SameSite=Lax";
  document.cookie = `hfchat_language=${other}; Path=/; Max-Age=31536000${frame}`;
}
