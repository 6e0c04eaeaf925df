// Bold, italic and struck-out text, in the place of Marked's own rules. CommonMark's rule takes punctuation beside a letter for
// the outside of a word, which leaves raw marks in "これは**「重要」**な" and "**\"중요\"**는": here a Chinese, Japanese or Korean
// character is as good as a space there (https://github.com/tats-u/markdown-cjk-friendly, its specification). And a mark
// between digits is a sign of arithmetic: "2*3*4", "2**10".
import { SIGN } from "./cjk.js";

// Of one that begins an emphasis, how many others are looked at: else beginnings alone would take quadratic time. formulas.js
// has a bound of its own for what it takes for text; Marked may take more for it.
const MAX_RUNS = 100;
const RUN = /\*+|_+/g;
const DEL = /^~~(?=[^\s~])([^]*?[^\s~])~~(?!~)/;
const PUNCTUATION = /[\p{P}\p{S}]/u;
// Models write bold text tight beside a word: "**Note:**this", "это**«важно»**и". So two marks end it after what ends a phrase,
// and begin it before a quotation mark: of code, as "f(**a, **b)" or "x**(y)", neither is true.
const PHRASE_ENDS = /[\p{Pe}\p{Pf}"'.,;:!?…%\]]/u, QUOTATION_BEGINS = /[\p{Pi}„"]/u;
// A name of a program, as Python has: "__init__".
const DUNDER = /^__[a-z][a-z0-9_]{0,60}?__(?![a-z0-9_])/;

const characterAt = (text, place) => (place < text.length ? String.fromCodePoint(text.codePointAt(place)) : "");
const characterBefore = (text, place) => (/[\uDC00-\uDFFF]/.test(text[place - 1] ?? "") && place > 1 ? text.slice(place - 2, place) : text[place - 1] ?? "");
const isSpace = (sign) => !sign || /\s/u.test(sign);
const isOuter = (sign) => isSpace(sign) || PUNCTUATION.test(sign) || SIGN.test(sign);
const parts = (sign) => PUNCTUATION.test(sign) && !SIGN.test(sign);

// Whether a run of marks between these two characters can begin an emphasis, and whether it can end one.
export function flanking(mark, before, after, count = 1) {
  if (/\d/.test(before) && /\d/.test(after)) return { opens: false, closes: false };
  const left = !isSpace(after) && (!parts(after) || isOuter(before)), right = !isSpace(before) && (!parts(before) || isOuter(after));
  if (mark === "*" && count < 2) return { opens: left, closes: right };
  if (mark === "*") return { opens: left || (/\p{L}/u.test(before) && QUOTATION_BEGINS.test(after)), closes: right || (/\p{L}/u.test(after) && PHRASE_ENDS.test(before)) };
  return { opens: left && (!right || PUNCTUATION.test(before)), closes: right && (!left || PUNCTUATION.test(after)) };
}

// Marked's tokenizer of bold and italic text: `masked` ends like `src`, with code, links and HTML made unreadable.
export function emStrong(src, masked) {
  const run = /^(?:\*+|_+)/.exec(src)?.[0];
  if (!run) return undefined;
  const [name] = DUNDER.exec(src) ?? [];
  if (name) return { type: "text", raw: name, text: name };
  const from = masked.length - src.length, mark = run[0], { length } = run;
  let begin = from; // of a run whose first mark Marked took for text
  while (masked[begin - 1] === mark) begin -= 1;
  if (!flanking(mark, characterBefore(masked, begin), characterAt(masked, from + length), from + length - begin).opens) return undefined;
  RUN.lastIndex = from + length;
  let open = length, middle = 0;
  for (let found, runs = 0; runs < MAX_RUNS && (found = RUN.exec(masked)); runs += 1) {
    if (found[0][0] !== mark) continue;
    const count = found[0].length, { opens, closes } = flanking(mark, characterBefore(masked, found.index), characterAt(masked, RUN.lastIndex), count);
    if (!opens && !closes) continue;
    if (!closes) { open += count; continue; }
    // CommonMark's rules 9 and 10.
    if (opens && length % 3 && !((length + count) % 3)) { middle += count; continue; }
    open -= count;
    if (open > 0) continue;
    const used = Math.min(count, count + open + middle), raw = src.slice(0, found.index - from + used), isEm = Math.min(length, used) % 2;
    const text = isEm ? raw.slice(1, -1) : raw.slice(2, -2);
    return { type: isEm ? "em" : "strong", raw, text, tokens: this.lexer.inlineTokens(text) };
  }
  return undefined;
}

// Two signs strike out, one is a range: "2~3 eggs".
export function del(src) {
  const [raw, text] = DEL.exec(src) ?? [];
  return raw && { type: "del", raw, text, tokens: this.lexer.inlineTokens(text) };
}
