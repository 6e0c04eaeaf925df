// A title is one line of text: Markdown's marks are not in it, and what only looks like them is.
import assert from "node:assert/strict";
import { test } from "node:test";

import { titleOf } from "../../hfchat/page/static/conversations/files.js";
import { textMessage } from "../../hfchat/page/static/conversations/messages.js";
import { withoutMarks } from "../../hfchat/page/static/plain_text.js";

const PLAIN = {
  "**bold** and *italic*": "bold and italic",
  "***both***": "both",
  "**a** **b**": "a b",
  "write a **poem about *spring***": "write a poem about spring",
  "**Note:**read": "**Note:**read",
  "__bold words__ and _italic_": "bold words and italic",
  "`code` and ``a ` b``": "code and a ` b",
  "~~gone~~ here": "gone here",
  "# Heading": "Heading",
  "###### Small": "Small",
  "#hashtag": "#hashtag",
  "- item": "item",
  "* item": "item",
  "- [ ] to do": "to do",
  "> said": "said",
  "[text](https://example.org) after": "text after",
  '![alt](a.png "t") after': "alt after",
  "```python\nprint(1)\n```": "\nprint(1)\n",
  // These are no marks.
  "2*3*4 and 2 * 3 * 4": "2*3*4 and 2 * 3 * 4",
  "snake_case_name": "snake_case_name",
  "what does __init__ do": "what does __init__ do",
  "f(a)[0](b c)": "f(a)[0](b c)",
  "a ** b ** c": "a ** b ** c",
  "C# or F#": "C# or F#",
  "~5 or ~6": "~5 or ~6",
  "5 > 3": "5 > 3",
  "**open": "**open",
  "": "",
};
for (const [text, expected] of Object.entries(PLAIN)) {
  test(`without marks: ${JSON.stringify(text)}`, () => assert.equal(withoutMarks(text), expected));
}

test("long texts of marks take no time that grows with their square", () => {
  for (const text of ["*".repeat(2000), "_a".repeat(1000), "`".repeat(2000), "[".repeat(2000), "**a".repeat(600)]) {
    const began = performance.now();
    withoutMarks(text);
    assert.ok(performance.now() - began < 1000, text.slice(0, 5));
  }
});

test("the title of a conversation is its first question, without marks", () => {
  assert.equal(titleOf([textMessage("user", "Explain **black holes** to `me`")], { untitled: "Untitled" }), "Explain black holes to me");
  assert.equal(titleOf([textMessage("user", "**")], { untitled: "Untitled" }), "**");
});
