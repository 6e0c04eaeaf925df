// What a person asked is text, shown as it was typed: nothing in it is Markdown but its blocks of code and its pictures, which
// are ours. Gradio's renderer gets it behind a random mark, which no reply can write.
import { codeToken, segments } from "./fences.js";
import { newId } from "./hex.js";
import { escaped } from "./links.js";
import { withLinks } from "./pictures/references.js";

const MARK = `\u2060${newId()}\u2060`;

export const asQuestion = (text) => MARK + text;
export const isQuestion = (text) => text.startsWith(MARK);

// Marked's tokens of a marked question.
export function questionTokens(marked) {
  const parts = segments(marked.slice(MARK.length)).filter(({ text }) => text);
  return parts.map((part) => (part.code && part.closed ? codeToken(part.text, part) : { type: "question", raw: part.text, text: part.text }));
}

export const question = { name: "question", renderer: ({ text }) => `<div class="hfchat-question">${withLinks(escaped(text))}</div>` };
