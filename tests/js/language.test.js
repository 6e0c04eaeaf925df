// The page's language, and sentences with their particulars.
import assert from "node:assert/strict";
import { test } from "node:test";

import { fill, historySays, pictureSays, says, speak } from "../../hfchat/page/static/language.js";

test("the browser's language is the page's where nobody chose one", () => {
  assert.equal(document.documentElement.lang, "en");
  assert.equal(says.retry, "Retry");
  assert.ok(historySays.conversations && pictureSays.add);
  assert.deepEqual([says.history, says.pictures], [undefined, undefined]);
});

test("a particular is put in as it is, whatever signs are in it", () => {
  assert.equal(fill("{name} and {count} of {other}", { name: "$& {count}", count: 0 }), "$& {count} and 0 of {other}");
});

test("the language that is chosen is told the server too", () => {
  speak("es");
  assert.equal(document.cookie, "hfchat_language=es; Path=/; Max-Age=31536000; SameSite=Lax");
});
