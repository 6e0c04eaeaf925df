// Gradio's renderer of messages as the page sends it, with our rules in it, in node: of a browser it needs nothing to read Markdown.
import { readFile } from "node:fs/promises";

import * as fences from "../../hfchat/page/static/fences.js";
import * as formulas from "../../hfchat/page/static/formulas.js";
import * as replies from "../../hfchat/page/static/replies.js";

globalThis.window = { hfchat: { fences, formulas, replies } };

// The names that the script imports stand for nothing here.
function alone(script) {
  const names = [];
  const body = script.replace(/import(?:\{([^}]*)\}from)?"[^"]*";/g, (_, imported) => {
    names.push(...(imported ?? "").split(",").filter(Boolean).map((name) => name.split(" as ").at(-1)));
    return "";
  });
  const nothing = names.map((name) => `const ${name}=()=>({});`).join("");
  return `${nothing}${body.replace(/export\{[^}]*\};?\s*$/, "export{wt as makeRenderer};")}`;
}

const script = await readFile(process.env.HFCHAT_RENDERER, "utf8");
const { makeRenderer } = await import(`data:text/javascript,${encodeURIComponent(alone(script))}`);
const parser = replies.parser(makeRenderer({ header_links: false, line_breaks: true, latex_delimiters: [] }));

// The HTML of a message, before the sanitizer; formulas as they were written.
export function rendered(content, { role = "assistant", metadata = null } = {}) {
  const held = [], tokens = parser.lexer(formulas.withoutFormulas(replies.text({ role, content, metadata }), held));
  const made = parser.parser(tokens).replace(/<button title="copy"[^]*?<\/button>/g, "");
  return made.replace(/%%%LATEX_BLOCK_(\d+)%%%/g, (holder, place) => held[place] ?? holder).trim();
}

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&" };
// What of it can be read.
export const read = (html) => html.replace(/<br>/g, "\n").replace(/<[^>]*>/g, "").replace(/&(?:lt|gt|quot|amp|#39);/g, (entity) => ENTITIES[entity]);
