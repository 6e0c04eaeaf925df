// Which Mermaid diagrams are drawn: of kinds whose cost can be told from their text, up to a bound. Any other is shown as code.
// What Mermaid made of a model's words then loses what a reply may not have: links in this tab, buttons, names of the page's.
import { element, pause } from "./dom.js";
import { address } from "./links.js";

const KINDS = /^(?:graph|flowchart|sequenceDiagram|classDiagram|stateDiagram|erDiagram|pie|mindmap|timeline|journey|gitGraph|gantt)\b/;
// An arrow or a line between two nodes, in all of these kinds.
const EDGE = /[-=.]{2,}|[-=]>|~{3,}/g;
// The layout of 60 edges between 12 nodes takes about a second on a slow machine; so do 70 groups in one another, and a mind
// map of 50 lines.
const MOST = { chars: 4000, lines: 150, edges: 60, groups: 12, mindmap: 30, diagrams: 4 };
// They make Mermaid count days or draw ticks one by one.
const COUNTED = /^\s*(?:excludes|includes|tickInterval|weekend|todayMarker)\b|\d{5,}/m;

// A line of style, which becomes a rule of a style sheet, with what could end that rule or load something.
const STYLE = /^\s*(?:classDef|style|linkStyle)\b.*(?:[{}\\@]|url\s*\(|\/\*)/im;
const PICTURE = /@\{[^}]*\bimg\b/;

// The diagram without what sets Mermaid up, since a style sheet could be in it, and with HTML in its labels as text.
const TAG = /<br\s*\/?>|<<[\w-]+>>|<(?=[a-zA-Z/!?])/gi;
const plain = (text) => text.trim().replace(/^---\n[^]*?\n---\s*\n/, "").replaceAll("%%{", "%% ")
  .replace(TAG, (tag) => (tag.length > 1 ? tag : "#lt;")).trim();

// How many lines are to be drawn: "A & B --> C & D" are four.
function edges(text) {
  let count = 0;
  for (const line of text.split(/[\n;]/)) {
    const sides = line.split(EDGE).map((side) => side.split("&").length);
    for (let place = 1; place < sides.length; place += 1) count += sides[place - 1] * sides[place];
  }
  return count;
}

// What to draw of a diagram, or null where its source is to be shown.
export function drawable(text) {
  if (text.length > MOST.chars || text.split("\n").length > MOST.lines) return null;
  const diagram = plain(text), body = diagram.replace(/^(?:\s*%%.*\n)+/, "").trimStart();
  if (!KINDS.test(body) || STYLE.test(body) || PICTURE.test(body) || edges(body) > MOST.edges) return null;
  if ((body.match(/\bsubgraph\b|\bnamespace\b|\bstate\b|[{]$/gm)?.length ?? 0) > MOST.groups) return null;
  if (body.startsWith("mindmap") && body.split("\n").length > MOST.mindmap) return null;
  return body.startsWith("gantt") && COUNTED.test(body) ? null : diagram;
}

const REFUSED = "form, input, button, select, textarea, iframe, object, embed, img, image, video, audio, source, use, script";

// What Mermaid draws of a date or a number that is none.
const NOWHERE = ["x", "x1", "width", "d", "transform"].map((name) => `svg [${name}*="NaN"]`).join();

function clean(node) {
  for (const found of node.querySelectorAll(REFUSED)) found.replaceWith(found.textContent);
  for (const link of node.querySelectorAll("a, area")) {
    const href = link.getAttribute("href") ?? link.getAttribute("xlink:href"), safe = address(href ?? "");
    for (const name of ["href", "xlink:href", "target", "xlink:target"]) link.removeAttribute(name);
    if (safe) for (const [name, value] of [["href", safe], ["target", "_blank"], ["rel", "noopener noreferrer"]]) link.setAttribute(name, value);
  }
  for (const found of node.querySelectorAll("[class*=hfchat]")) {
    for (const name of [...found.classList]) if (name.startsWith("hfchat")) found.classList.remove(name);
  }
  for (const found of node.querySelectorAll("[id^=hfchat]")) found.removeAttribute("id");
}

function asCode(node, source) {
  node.replaceChildren(element("pre", {}, element("code", {}, source)));
  node.setAttribute("data-processed", "true");
}

// Draws each of these by Mermaid, cleaned before anybody sees it. One that is no diagram, or one too many, shows its source.
export async function draw(mermaid, nodes) {
  for (const node of nodes) {
    const source = node.textContent, drawn = node.closest(".message-content")?.querySelectorAll(".mermaid > svg").length ?? 0;
    if (drawn >= MOST.diagrams) { asCode(node, source); continue; }
    try {
      await mermaid.run({ nodes: [node] });
      if (node.querySelector(NOWHERE)) throw new Error("nowhere");
      clean(node);
    } catch { asCode(node, source); }
    await pause(0);
  }
}
