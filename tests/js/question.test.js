// What a person asked: text, and blocks of code in it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { asQuestion, questionTokens } from "../../hfchat/page/static/question.js";

const codeOf = (text) => questionTokens(asQuestion(text)).find(({ type }) => type === "code")?.text;

test("a block of code is what stands between its fences", () => {
  for (const [text, code] of [["```\na\nb\n```", "a\nb"], ["a\n```js\nb\n```\nc", "b"], ["```\n```", ""], ["```\n\n```\n", ""]]) assert.equal(codeOf(text), code);
});

function least(chars) {
  const text = `\`\`\`\n${"a".repeat(chars)}\n\`\`\``;
  return Math.min(...Array.from({ length: 5 }, () => {
    const began = process.cpuUsage();
    codeOf(text);
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1000;
  }));
}

test("a long line of code takes linear time", () => {
  least(10_000);
  assert.ok(least(80_000) / Math.max(least(10_000), 0.5) < 27);
});
