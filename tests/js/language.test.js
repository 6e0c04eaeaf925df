// The page's language, and sentences with their particulars.
import assert from "node:assert/strict";
import { test } from "node:test";

import { fill, historySays, language, pictureSays, says, speak } from "../../hfchat/page/static/language.js";

test("the page's language is the server's, and Gradio takes the words that the server gave it", () => {
  assert.equal(language, "en");
  assert.deepEqual([navigator.language, navigator.languages], ["en", ["en"]]);
  assert.equal(says.acts.retry, "Retry");
  assert.ok(historySays.conversations && pictureSays.add);
  assert.deepEqual([says.history, says.pictures], [undefined, undefined]);
});

test("a particular is put in as it is, whatever signs are in it", () => {
  assert.equal(fill("{name} and {count} of {other}", { name: "$& {count}", count: 0 }), "$& {count} and 0 of {other}");
});

test("a number is written as the language does, and chooses the form of what it counts", () => {
  assert.equal(fill("{count}", { count: 12345 }), "12,345");
  const found = { one: "{count} found here", other: "{count} are found" };
  assert.deepEqual([0, 1, 2].map((count) => fill(found, { count })), ["0 are found", "1 found here", "2 are found"]);
  assert.equal(fill({ other: "{count}" }, { count: 1 }), "1");
});

test("the language that is chosen is told the server too", () => {
  speak("es");
  assert.equal(document.cookie, "hfchat_language=es; Path=/; Max-Age=31536000; SameSite=Lax");
});
