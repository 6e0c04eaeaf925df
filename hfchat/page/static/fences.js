// Blocks of code between fences: where each ends. As models write Markdown within Markdown, with fences of one length, a block of
// Markdown goes on after a block that begins with a language inside of it. Linear in the text.
const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)/;
const MARKDOWN = /^(?:markdown|mdx?)\b/i;
// Languages of a fence that are treated like Markdown: none, text, plain.
const PLAIN = /^(?:te?xt|plain(?:text)?)?$/i;
// Before the fence of a block that is in a list or in a quotation.
const PREFIX = /^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*/;

// The lines of a text with their ends, read as far as they are asked for.
class Lines {
  #read = [];
  #end = 0;

  constructor(text) { this.text = text; }

  at(place) {
    while (this.#read.length <= place && this.#end < this.text.length) {
      const end = this.text.indexOf("\n", this.#end) + 1 || this.text.length;
      this.#read.push(this.text.slice(this.#end, end));
      this.#end = end;
    }
    return this.#read[place];
  }

  slice(from, to) { return this.at(to - 1) === undefined ? [] : this.#read.slice(from, to); }
}

const isBlank = (line) => !line?.trim();

function fenceOf(line = "") {
  const found = FENCE.exec(line.trimEnd());
  return found && { mark: found[1], info: found[2].trim() };
}

const isEnd = (fence, mark) => fence !== null && !fence.info && fence.mark.startsWith(mark);

// The place of the next line from here on that is such a fence, or -1.
function nextFence(lines, from, isOne) {
  for (let place = from; lines.at(place) !== undefined; place += 1) {
    const fence = fenceOf(lines.at(place));
    if (fence && isOne(fence)) return place;
  }
  return -1;
}

// Whether the bare fence in this place begins a block within a block of Markdown: it looks like a beginning, the next one like an
// end, and a third is left for the block around them.
function beginsInside(lines, place, mark) {
  if (!isBlank(lines.at(place - 1)) || isBlank(lines.at(place + 1))) return false;
  const end = nextFence(lines, place + 1, (fence) => fence.mark.startsWith(mark));
  if (end < 0 || fenceOf(lines.at(end)).info || !(isBlank(lines.at(end + 1)) || fenceOf(lines.at(end + 1)))) return false;
  return nextFence(lines, end + 1, (fence) => isEnd(fence, mark)) >= 0;
}

// The block of code that begins in this line, or null: its language, what is in it, the line after it, whether its end is there,
// and whether there is a block in it. `nested`: there may be.
function codeBlock(lines, first, nested = true) {
  const opening = fenceOf(lines.at(first));
  if (!opening) return null;
  const { mark, info } = opening, holds = nested && (MARKDOWN.test(info) || PLAIN.test(info));
  const body = () => lines.slice(first + 1, place).join("");
  let inner = "", parent = false, place = first + 1;
  for (; lines.at(place) !== undefined; place += 1) {
    const fence = fenceOf(lines.at(place));
    if (!fence) continue;
    if (inner) { if (isEnd(fence, inner)) inner = ""; continue; }
    if (!fence.mark.startsWith(mark)) continue;
    // A block without a line in it is a beginning that is spoken of.
    const within = fence.info ? holds && !isEnd(fenceOf(lines.at(place + 1)), fence.mark) : holds && MARKDOWN.test(info) && beginsInside(lines, place, mark);
    if (within) { inner = fence.mark; parent = true; }
    else if (!fence.info) return { info, body: body(), end: place + 1, closed: true, parent };
  }
  return { info, body: body(), end: place, closed: false, parent };
}

// While a reply grows, the end of a block with others in it is still to come; in one that is whole it is missing.
const growing = () => document.documentElement.classList?.contains("hfchat-busy") ?? false;

// Reads the blocks of one text, in their order.
class FenceReader {
  #nested = true;

  read(lines, first) {
    const found = codeBlock(lines, first, this.#nested);
    if (!found?.parent || found.closed || growing()) return found;
    this.#nested = false;
    return codeBlock(lines, first, false);
  }
}

// The text outside of fenced code, and that inside, in order.
export function segments(text) {
  const lines = new Lines(text), reader = new FenceReader(), found = [{ code: false, text: "" }];
  for (let place = 0; lines.at(place) !== undefined;) {
    const block = reader.read(lines, place), end = block?.end ?? place + 1;
    if (block) found.push({ code: true, text: "", ...block });
    found.at(-1).text += lines.slice(place, end).join("");
    if (block) found.push({ code: false, text: "" });
    place = end;
  }
  return found;
}

// Marked's token of a block of code.
export const codeToken = (raw, { info, body }) => ({ type: "code", raw, lang: info, text: body.replace(/\n$/, "") });

// Marked's tokenizer of blocks of code: only of those that have others in them, which it would end too early.
export function fences(src) {
  if (!FENCE.test(src.slice(0, src.indexOf("\n")))) return false;
  this.lexer.fences ??= new FenceReader();
  const lines = new Lines(src), block = this.lexer.fences.read(lines, 0);
  return block?.parent ? codeToken(lines.slice(0, block.end).join(""), block) : false;
}

const width = (text) => text.replaceAll("\t", "    ").length;

// The spaces in the place of this line's first tabs, up to a column.
function indented(line, columns) {
  let place = 0, made = "";
  while (made.length < columns && (line[place] === " " || line[place] === "\t")) {
    made += line[place] === "\t" ? "    " : " ";
    place += 1;
  }
  return made + line.slice(place);
}

// The text as Marked's reader of blocks wants it: with spaces in the place of tabs that indent. In code a tab stays a tab.
export function withSpaces(src) {
  if (!/^ *\t/m.test(src)) return src;
  const lines = src.split(/(?<=\n)/), inside = lines.map((line) => line.replace(PREFIX, "")), reader = new FenceReader();
  let made = "";
  for (let place = 0; place < lines.length;) {
    const block = reader.read(inside, place), columns = width(PREFIX.exec(lines[place])[0]);
    made += indented(lines[place], Infinity);
    for (const line of lines.slice(place + 1, block?.end ?? 0)) made += indented(line, columns);
    place = block?.end ?? place + 1;
  }
  return made;
}
