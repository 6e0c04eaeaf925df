// What a message may be on the page. Gradio's Markdown renderer calls these, where page/renderer.py has put them in: its reader
// of Markdown gets rules of ours, for what models and people write, and a message's links and pictures lead out of this page.
import { constants } from "./constants.js";
import { drawable } from "./diagrams.js";
import { del, emStrong } from "./emphasis.js";
import { fences, segments } from "./fences.js";
import { address, addressIn, escaped, withoutTags } from "./links.js";
import { withLinks, withNames } from "./pictures/references.js";
import { asQuestion, isQuestion, question, questionTokens } from "./question.js";
import { html, isOwn, rawHtml, readHtml, tag, withOwn } from "./raw_html.js";

const PICTURE = /^data:image\/(?:png|jpe?g|gif|webp|avif|bmp|svg\+xml)[;,]/i;

// The text of a message as the renderer gets it.
export function text({ role, content, metadata }) {
  if (typeof content !== "string") return content;
  if (role === "user") return asQuestion(content);
  if (metadata?.id === constants.reply_pictures_id) return withOwn(withLinks(content));
  return isOwn(metadata?.id) ? withOwn(content) : content;
}

// What is copied of the messages that stand together: what was said, without what was thought and what the page says itself.
export function copied(messages) {
  const said = [messages].flat().filter(({ metadata }) => !metadata?.title && !isOwn(metadata?.id)).map(({ content }) => content);
  // The pieces of a reply that is not whole yet end in an empty line.
  return withNames(said.length ? said.reduce((text, piece) => (text.endsWith("\n") ? text : `${text}\n\n`) + piece) : "");
}

export function link(href, title, words) {
  const safe = address(href);
  if (safe === null) return words;
  const hint = title ? ` title="${withoutTags(title)}"` : "";
  // A picture in it is a link of its own elsewhere.
  return `<a href="${escaped(safe)}"${hint} target="_blank" rel="noopener noreferrer">${words.replace(/<\/?a\b[^>]*>/g, "")}</a>`;
}

export function image(href, title, words) {
  if (PICTURE.test(href)) return `<img src="${escaped(href)}" alt="${withoutTags(words)}">`;
  return link(href, title, withoutTags(words) || "🖼");
}

// The address that a text begins with, without the sentence that goes on behind it.
function url(src) {
  const found = this.rules.inline.url.exec(src);
  if (!found || found[2] === "@") return false;
  let raw = addressIn(found[0]), before;
  if (raw === found[0]) return false;
  do [before, raw] = [raw, this.rules.inline._backpedal.exec(raw)?.[0] ?? ""]; while (raw !== before);
  const words = escaped(raw);
  return raw && { type: "link", raw, text: words, href: found[1] === "www." ? `http://${raw}` : raw, tokens: [{ type: "text", raw, text: words }] };
}

const labelOf = (words) => words.toLowerCase().replace(/\s+/g, " ");

// How often each label stands in a message.
function labelsIn(message) {
  const counts = new Map();
  for (const [, words] of message.matchAll(/\[([^[\]]{1,200})\]/g)) counts.set(labelOf(words), (counts.get(labelOf(words)) ?? 0) + 1);
  return counts;
}

// A definition of an address is read, and not shown, where another place cites it; what else looks like one is text: a list of
// sources, "[^1]: A note", "[Ann]: Hello".
function definitions() {
  let message = "", labels = null;
  const def = function (src) {
    const [, label, href] = this.rules.block.def.exec(src) ?? [];
    if (!label || label.startsWith("^") || address(href.replace(/^<(.*)>$/, "$1")) === null) return undefined;
    labels ??= labelsIn(message);
    return labels.get(labelOf(label)) > 1 ? false : undefined;
  };
  return { def, begin: (text) => { message = text; labels = null; } };
}

// What stands between angle brackets is an address where it leads somewhere: "<ns:tag>" is text.
function autolink(src) {
  const [, words, isMail] = this.rules.inline.autolink.exec(src) ?? [];
  return words && (isMail || address(words) !== null) ? false : undefined;
}

// One sign below a line of text is the beginning of a list, or of a line across the page, that is being written.
const lheading = (src) => (/^.*\n {0,3}[-=]{1,2} *(?:\n|$)/.test(src) ? undefined : false);

// A heading whose signs are tight beside its words; one sign is a hashtag, or a number.
const TIGHT_HEADING = /^( {0,3}#{2,6})(?=[\p{L}\p{N}*])/gmu;
// In a table a sign in code parts no cells: "| `string | null` |".
const ROW = /^ {0,3}\|.*\|[ \t]*$/gm, CODE_IN_ROW = /(?<!`)(`+)(?![`\s])([^`]*[^`\s])\1(?!`)/g;
const rowOf = (row) => row.replace(CODE_IN_ROW, (code) => code.replace(/(?<!\\)\|/g, "\\|"));
const UNDER_HEAD = /^(?=[ |:]*-)[ |:-]+$/m;
const marksOf = (words) => (UNDER_HEAD.test(words) ? words.replace(ROW, rowOf) : words).replace(TIGHT_HEADING, "$1 ");

// The message with its marks as Marked's reader of blocks wants them.
export const withMarks = (message) => segments(message).map(({ code, text: words }) => (code ? words : marksOf(words))).join("");

// Gradio takes an end of a line away from code, which is that of an empty line where the code ends in one.
function code(token) {
  token.text += "\n";
  return false; // Gradio's renderer goes on
}

// A list, a table or a quotation begins at the side where its own first words do. The paragraphs in it do so by the page's style.
const BLOCK = /<(ul|ol|dl|table|blockquote|details)(?=[\s>])/g;

// The HTML of a message, in which a `<` that is no tag's is escaped.
export const directed = (html) => html.replace(BLOCK, '<$1 dir="auto"');

// Gradio's renderer of a message, with these rules in it.
export function parser(marked) {
  const plainCode = (words) => `<pre><code>${escaped(words)}\n</code></pre>\n`;
  const mermaid = ({ text: words }) => {
    const diagram = drawable(words);
    return diagram === null ? plainCode(words) : `<div class="mermaid">${escaped(diagram)}</div>\n`;
  };
  const renderer = { link, image, checkbox: (checked) => (checked ? "☑" : "☐") };
  const { def, begin } = definitions(), tokenizer = { autolink, def, del, emStrong, fences, html, lheading, tag, url };
  marked.use({ renderer, tokenizer, extensions: [{ name: "code", renderer: code }, { name: "mermaid", renderer: mermaid }, question, rawHtml] });
  const lexer = marked.lexer.bind(marked);
  marked.lexer = (message) => {
    begin(message);
    return isQuestion(message) ? questionTokens(message) : readHtml(lexer(withMarks(message)));
  };
  const made = marked.parser;
  marked.parser = (...tokens) => directed(made.apply(marked, tokens));
  return marked;
}
