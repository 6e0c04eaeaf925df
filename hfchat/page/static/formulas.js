// Which parts of a message are formulas, and drawing them with KaTeX; and which parts cost Markdown or KaTeX too much, and are
// shown as text. Linear in the text, however many signs open a formula that never ends. "It costs $5, or $10 with tax" is no
// formula: pandoc's rule holds for the single sign. No space follows the first, none stands before the second, no digit after
// it; nor is such a formula parted by code or an empty line.
import { element } from "./dom.js";
import { segments } from "./fences.js";
import { isQuestion } from "./question.js";

const PLACE = /%%%LATEX_BLOCK_(\d+)%%%/g;
const ANY_FENCE = /^[\s>]*(?:`{3,}|~{3,})/;
// Where a line begins a block whose words Markdown reads by themselves: a list's item, a table's row, a title, a quote.
const BLOCK = /^\s*(?:[-*+|#>]|\d{1,9}[.)]\s)/;
// As many quotes and lists in one another as nobody writes: each is a call in a call.
const NESTED = /^(?:\s*(?:>|[-*+]\s|\d{1,9}[.)]\s)){12}/;
const SPECIAL = /[\\[\]*_~<`!\n]/g;
// Markdown's reader is quadratic in these signs within one paragraph: 2,000 of them took 3 s, 400 take 0.1 s.
const MOST_SPECIAL = 400;
const TOKEN = /\\begin\{(?:equation|align|gather)\*?\}|\\end\{(?:equation|align|gather)\*?\}|\\[^]|\$\$|[${}]|`+|\n[^\S\n]*(?=\n)/g;
// KaTeX takes about 3 ms for a short formula and 0.3 s for a thousand characters of fractions, on a slow machine.
const MOST = { formula: 2000, formulas: 300, chars: 8000, depth: 12 };
// A layout in a layout doubles the browser's work: 150 roots in one another end the tab. Macros hide how many there are.
const MACROS = /\\(?:[gex]?def|g?let|futurelet|(?:re)?newcommand|providecommand|global|long|char)(?![a-zA-Z])/;
// Fractions nest without braces, too: `\frac1\frac1\frac12`.
const BARE = /\\[dtc]?(?:frac|binom)(?![a-zA-Z{])/g;
// The sign stands behind its number, too: "5$-10$", "5$/kg".
const PRICE = /^\d\$[-–/,.;:)!?]$/;
const CLOSES = { "\\[": "\\]", "\\(": "\\)", "$$": "$$" };
const closing = (open) => CLOSES[open] ?? (open.startsWith("\\begin") ? open.replace("begin", "end") : undefined);

// The tokens of a text, each with the place of the one that would close it.
function tokens(text) {
  const all = [...text.matchAll(TOKEN)].map(({ 0: sign, index }) => ({ sign, at: index, end: index + sign.length, closed: -1 }));
  const next = new Map();
  let braces = [], blank = all.length;
  for (let place = all.length - 1; place >= 0; place -= 1) {
    const token = all[place], { sign } = token;
    if (sign[0] === "\n") { blank = place; braces = []; }
    else if (sign === "}") braces.push(place);
    else if (sign === "{") token.closed = braces.pop() ?? -1;
    else {
      const close = next.get(sign[0] === "`" ? sign : closing(sign)) ?? -1;
      const bounded = sign[0] === "`" || sign === "\\(";
      token.closed = bounded && close > blank ? -1 : close;
      next.set(sign, place);
    }
  }
  return all;
}

// The place of the dollar sign that ends the formula which this one begins, or -1. Stops at the next sign of the same depth.
function dollarEnd(text, all, first) {
  if (/\s/.test(text[all[first].end] ?? " ") || PRICE.test(text.slice(Math.max(all[first].at - 1, 0), all[first].end + 1))) return -1;
  for (let place = first + 1; place < all.length; place += 1) {
    const { sign, at, end, closed } = all[place];
    if (sign === "$") return at > all[first].end && !/\s/.test(text[at - 1]) && !/\d/.test(text[end] ?? "") ? place : -1;
    if (sign === "{") { if (closed < 0) return -1; place = closed; }
    else if (sign === "}" || sign === "$$" || sign[0] === "`" || sign[0] === "\n") return -1;
  }
  return -1;
}

// Where the formulas of a text stand, as pairs of places.
export function found(text) {
  const all = tokens(text), places = [];
  for (let place = 0; place < all.length; place += 1) {
    const { sign, at, end, closed } = all[place];
    const last = sign === "$" ? dollarEnd(text, all, place) : sign === "{" ? -1 : closed;
    if (last < 0) continue;
    if (sign[0] !== "`") places.push([at, all[last].end, all[last].at > end]);
    place = last;
  }
  return places.filter(([, , holds]) => holds);
}

// Whether it is drawn in a moment.
function drawable(formula) {
  if (formula.length > MOST.formula || MACROS.test(formula)) return false;
  if ((formula.match(BARE)?.length ?? 0) > 2 * MOST.depth) return false;
  let depth = 0, deepest = 0;
  for (const [sign] of formula.matchAll(/\\(?:left|right|begin|end|[^])|[{}]/g)) {
    if (sign === "{" || sign === "\\left" || sign === "\\begin") depth += 1;
    else if (sign === "}" || sign === "\\right" || sign === "\\end") depth -= 1;
    deepest = Math.max(deepest, depth);
  }
  return deepest <= MOST.depth;
}

// The text with a place holder for each run of lines that Markdown would take long to read.
function withoutCostly(text, held) {
  let made = "", run = "", signs = 0;
  const end = () => {
    const words = run.trim(), at = run.indexOf(words);
    made += signs > MOST_SPECIAL ? run.slice(0, at) + held(`\0${words}`) + run.slice(at + words.length) : run;
    run = "";
    signs = 0;
  };
  for (const line of text.split(/(?<=\n)/)) {
    const fence = ANY_FENCE.test(line), nested = NESTED.test(line);
    if (fence || nested || !line.trim() || BLOCK.test(line)) end();
    run += line;
    signs += nested ? MOST_SPECIAL + 1 : line.replace(PLACE, "").match(SPECIAL)?.length ?? 0;
    if (fence || nested) end();
  }
  end();
  return made;
}

// The text with a place holder for each formula. The formulas are added to the list, each at the place its holder names.
export function withoutFormulas(text, formulas) {
  const held = (formula) => `%%%LATEX_BLOCK_${formulas.push(formula) - 1}%%%`;
  let count = 0, chars = 0;
  if (isQuestion(text)) return text;
  // Where a message has such a holder in its own words, an invisible sign parts it.
  return segments(text.replaceAll("%%%LATEX", "%%%\u2060LATEX")).map((part) => {
    if (part.code) return part.text;
    let rest = 0, made = "";
    for (const [begin, end] of found(part.text)) {
      if (count >= MOST.formulas || chars + end - begin > MOST.chars || !drawable(part.text.slice(begin, end))) continue;
      count += 1;
      chars += end - begin;
      made += part.text.slice(rest, begin) + held(part.text.slice(begin, end));
      rest = end;
    }
    return withoutCostly(made + part.text.slice(rest), held);
  }).join("");
}

const delimiters = (formula) => {
  const left = /^(?:\\begin\{[a-z]+\*?\}|\\[[(]|\$\$?)/.exec(formula)?.[0];
  return left && { left, right: closing(left) ?? "$", display: left !== "$" && left !== "\\(" };
};

function drawn(formula, draw) {
  const made = element("span", {}, formula), ends = delimiters(formula);
  if (draw && ends) draw(made, { delimiters: [ends], throwOnError: false, maxSize: 30, maxExpand: 200 });
  return made;
}

// Draws the formulas that place holders in this part of the page stand for, by KaTeX's `draw`, if it could be loaded.
export function typeset(root, formulas, draw) {
  // What begins with a zero is no formula, but text, in which formulas may be held.
  const source = (text) => text.replace(PLACE, (holder, place) => source(formulas[place]?.replace("\0", "") ?? ""));
  const made = (held) => (held.startsWith("\0") ? element("span", { style: "white-space: pre-wrap" }, source(held.slice(1))) : drawn(held, draw));
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT), texts = [];
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node instanceof Element) {
      for (const name of ["href", "title", "alt"]) {
        if (node.getAttribute(name)?.includes("%%%LATEX")) node.setAttribute(name, source(node.getAttribute(name)));
      }
    } else if (node.data.includes("%%%LATEX")) texts.push(node);
  }
  for (const node of texts) {
    if (node.parentElement?.closest("pre, code, .mermaid")) { node.data = source(node.data); continue; }
    const parts = node.data.split(PLACE).map((part, place) => (place % 2 && formulas[part] ? made(formulas[part]) : part));
    node.replaceWith(...parts);
  }
}
