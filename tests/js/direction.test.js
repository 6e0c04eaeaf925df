// From which side the parts of a message are written.
import assert from "node:assert/strict";
import { test } from "node:test";

import { directed, parser } from "../../hfchat/page/static/replies.js";

const HTML = {
  "<ul>\n<li>a</li></ul>": '<ul dir="auto">\n<li>a</li></ul>',
  '<ol start="3"><li>a</li></ol>': '<ol dir="auto" start="3"><li>a</li></ol>',
  "<table><tr><td>a</td></tr></table>": '<table dir="auto"><tr><td>a</td></tr></table>',
  "<blockquote><p>a</p></blockquote>": '<blockquote dir="auto"><p>a</p></blockquote>',
  "<p>&lt;ul> and <u>a</u></p>": "<p>&lt;ul> and <u>a</u></p>",
  "<pre><code>a\n</code></pre>": "<pre><code>a\n</code></pre>",
};
for (const [html, expected] of Object.entries(HTML)) {
  test(`a block of several lines has a side of its own, and nothing else: ${html}`, () => assert.equal(directed(html), expected));
}

test("what Gradio's renderer makes of a message is directed", () => {
  const marked = { defaults: "kept", use() {}, lexer: (text) => text, parser(tokens) { return `<ul>${tokens}${this.defaults}</ul>`; } };
  assert.equal(parser(marked).parser("x "), '<ul dir="auto">x kept</ul>');
});
