// HTML sanitizer (allow-list) of a message: HTML is a few tags without attributes, each with its end, used as a writer uses
// them. Any other is text, and so is a tag that is only spoken of: "Use <b> and </b>". What the page says itself has buttons; it is known by its
// metadata, which no reply can write, and by a random mark from here.
import { constants } from "./constants.js";
import { newId } from "./hex.js";
import { escaped } from "./links.js";

// INLINE: within a line. BLOCK: around lines, or in a cell of a table. VOID: without a closing tag.
const INLINE = new Set("b i u s em strong del ins sub sup kbd mark small q abbr var samp code ruby rt rp".split(" "));
const BLOCK = new Set("p ul ol li dl dt dd blockquote details summary table caption thead tbody tfoot tr th td".split(" "));
const VOID = new Set(["br", "hr"]);
const KNOWN = new Set([...INLINE, ...BLOCK, ...VOID]);
const MARKED = ` data-own="${newId()}"`;
// The page's own elements, as page/notices.py writes them, and a link to a picture of a reply.
const OWN_TAGS = [
  /^<a href="#hfchat-image-[0-9a-f]{32}">$/,
  /^<button class="hfchat-do hfchat-do-(?:retry|continue|another_model|choose_settings|see_left|shorter|own_credit)">$/,
  /^<a class="hfchat-do" href="(?:\/login(?:\/huggingface)?|https:\/\/(?:huggingface\.co|hf\.co)\/[^"]*)"(?: target="_blank" rel="noreferrer")?>$/,
  /^<div class="hfchat-facts">$/,
  /^<span class="hfchat-instead">$/,
];
const TAG = /(<(\/?)([a-zA-Z][a-zA-Z0-9]*)(?:[\s/][^<>]*)?>)/;
// Blocks of HTML that run to a closing mark, which may be missing.
const WITH_END = /^ {0,3}<(?:(script|pre|style|textarea)(?=[\s>])|(!--)|(\?)|(!\[CDATA\[)|(![a-z]))/i;
const ENDS = [null, /-->/, /\?>/, /\]\]>/, />/];

// The text of a message of the page's own, with its elements marked.
export const withOwn = (text) => text.replace(/<(button|a|div|span)(?= class="hfchat-| href="#hfchat-)/g, `<$1${MARKED}`);
export const isOwn = (id) => constants.own_ids.includes(id);

// What of a list of tokens is raw HTML: tags and the text between them, each with the token that it is in.
function partsOf(tokens) {
  return tokens.flatMap((token) => {
    if (token.type !== "html") return [{ raw: token.raw }];
    token.parts = [];
    const pieces = token.raw.split(TAG);
    for (let place = 0; place < pieces.length; place += 4) {
      token.parts.push({ raw: pieces[place] });
      if (place + 1 < pieces.length) {
        const [tag, slash, name] = pieces.slice(place + 1, place + 4);
        token.parts.push({ raw: tag, slash, name: name.toLowerCase(), token });
      }
    }
    token.parts = token.parts.filter(({ raw }) => raw);
    // The source of a page, with a few that are known in it, stays one text.
    const isSource = token.block && !token.raw.includes(MARKED) && token.parts.some(({ name }) => name && !KNOWN.has(name));
    return isSource ? [{ raw: token.raw }] : token.parts;
  });
}

const isSpoken = (before, after) => /(?:^|[\s("'`“「])$/.test(before) && /^(?:[ ,.;:!?)"'`”」]|$)/.test(after);

// Marks those tags of one list of tokens that are HTML.
function pair(parts, inCell) {
  const open = {}, rawAt = (place) => parts[place]?.raw ?? "", begin = (name, found) => (open[name] ??= []).push(found);
  parts.forEach((part, place) => {
    if (!part.name) return;
    const { name, token } = part, own = part.raw.includes(MARKED) && part.raw.replace(MARKED, "");
    const wide = inCell || token.block;
    if (own !== false && OWN_TAGS.some((pattern) => pattern.test(own))) begin(name, { place, own });
    else if (VOID.has(name)) {
      const isUsed = name === "hr" ? token.block : wide || !isSpoken(rawAt(place - 1), rawAt(place + 1));
      if (isUsed && !part.slash) part.html = `<${name}>`;
    } else if (part.slash) {
      const first = Object.hasOwn(open, name) && open[name].pop();
      if (!first) return;
      const tight = wide || first.own || (place > first.place + 1 && !/^\s/.test(rawAt(first.place + 1)) && !/\s$/.test(rawAt(place - 1)));
      if (!tight) return;
      parts[first.place].html = first.own || `<${name}>`;
      part.html = `</${name}>`;
    } else if (INLINE.has(name) || (wide && BLOCK.has(name))) begin(name, { place });
  });
}

function htmlOf({ raw, parts, block }) {
  const isHtml = parts.some(({ html, name }) => html && !VOID.has(name)) || parts.every((part) => (part.name ? part.html : !part.raw.trim()));
  if (!block || isHtml) {
    return parts.map((part) => part.html ?? (part.name ? escaped(part.raw.replace(MARKED, "")) : part.raw.replace(/[<>]/g, escaped))).join("");
  }
  return `<p class="as-written">${escaped(raw.replaceAll(MARKED, "").trim())}</p>\n`;
}

// Gives each token of raw HTML, in these and in those inside of them, the HTML that it is to be.
export function readHtml(tokens, inCell = false) {
  pair(partsOf(tokens), inCell);
  for (const token of tokens) {
    if (token.type === "html") token.html = htmlOf(token);
    for (const cell of [token.header, ...token.rows ?? []].flat()) if (cell) readHtml(cell.tokens, true);
    for (const inner of [token.items, token.tokens]) if (inner) readHtml(inner, inCell);
  }
  return tokens;
}

// As Marked's renderer of raw HTML: what was not read is text.
export const rawHtml = { name: "html", renderer: (token) => token.html ?? escaped(token.raw) };

// Marked's tokenizer of a block of raw HTML; what begins one that has no end begins a paragraph.
export function html(src) {
  const begins = WITH_END.exec(src);
  if (!begins) return false;
  const kind = begins.slice(1).findIndex(Boolean), end = ENDS[kind] ?? new RegExp(`</${begins[1]}>`, "i"), { lexer } = this;
  lexer.endless ??= new Set();
  if (lexer.endless.has(end.source)) return undefined;
  if (end.test(src)) return false;
  lexer.endless.add(end.source);
  return undefined;
}

// Marked's tokenizer of a tag within a line, without Marked's state of being in a link or in raw text.
export function tag(src) {
  const [raw] = this.rules.inline.tag.exec(src) ?? [];
  return raw && { type: "html", raw, block: false, text: raw };
}
