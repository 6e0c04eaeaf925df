// Which Mermaid diagrams are drawn: of known kinds, up to a bound.
import assert from "node:assert/strict";
import { test } from "node:test";

import { drawable } from "../../hfchat/page/static/diagrams.js";

const edges = (count) => ["graph TD", ...Array.from({ length: count }, (_, place) => `N${place} --> N${place + 1}`)].join("\n");

const DRAWN = {
  "a graph": edges(60),
  "a comment first": "%% words\npie\n\"a\": 1",
  "a style": "graph TD\nA --> B:::x\nclassDef x fill:red",
  "dates": "gantt\ndateFormat YYYY-MM-DD\nA :a, 2024-01-01, 3d",
};
for (const [name, text] of Object.entries(DRAWN)) test(`drawn: ${name}`, () => assert.equal(drawable(text), text));

const CODE = {
  "too many edges": edges(61),
  "edges in one line": `graph TD\n${[..."abcdefghi"].join(" & ")} --> ${[..."jklmnopqr"].join(" & ")}`,
  "too many lines": ["pie", ...Array.from({ length: 150 }, (_, place) => `"a${place}" : 1`)].join("\n"),
  "too long": `pie\n${"a".repeat(4000)}`,
  "too many groups": ["graph TD", ...Array.from({ length: 13 }, (_, place) => `subgraph s${place}`), "A", ...Array(13).fill("end")].join("\n"),
  "a mind map too large": ["mindmap", ...Array(30).fill("  a")].join("\n"),
  "a kind whose cost cannot be told": 'packet-beta\n0-99999999: "a"',
  "days to count": "gantt\ndateFormat YYYY\nexcludes weekends\nA :a, 0001, 9999",
  "a style that ends its rule": "graph TD\nA --> B:::x\nclassDef x fill:red}body{display:none",
  "a style that loads": "graph TD\nstyle A fill:url(/login)",
  "a picture": 'graph TD\nB --> C\nA@{ img: "/login" }',
  "no diagram": "hello",
};
for (const [name, text] of Object.entries(CODE)) test(`shown as code: ${name}`, () => assert.equal(drawable(text), null));

test("what sets Mermaid up is left out, and HTML in labels is text", () => {
  assert.equal(drawable('---\nconfig:\n  theme: dark\n---\ngraph TD\nA["<img src=x>"] --> B["a<br>b"]'), 'graph TD\nA["#lt;img src=x>"] --> B["a<br>b"]');
  assert.equal(drawable('%%{init: {"securityLevel": "loose"}}%%\ngraph TD\nA --> B'), '%% init: {"securityLevel": "loose"}}%%\ngraph TD\nA --> B');
});
