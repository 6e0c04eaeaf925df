// What the page says about how long a browser keeps conversations.
import assert from "node:assert/strict";
import { test } from "node:test";

import { keptSentence } from "../../hfchat/page/static/conversations/storage_permission.js";

const WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
const AGENTS = {
  "Safari on a Mac": [`Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${WEBKIT} Version/18.1 Safari/605.1.15`, "kept_seven_days"],
  "Safari on an iPhone": [`Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) ${WEBKIT} Version/18.1 Mobile/15E148 Safari/604.1`, "kept_seven_days"],
  "Chrome on an iPhone": [`Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) ${WEBKIT} CriOS/131.0 Mobile/15E148 Safari/604.1`, "kept_seven_days"],
  "Chrome": ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", "kept_until_full"],
  "Edge": ["Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0", "kept_until_full"],
  "Firefox": ["Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "kept_until_full"],
};
for (const [name, [agent, sentence]] of Object.entries(AGENTS)) {
  test(`${name} says how long it keeps conversations`, () => assert.equal(keptSentence(false, agent), sentence));
  test(`${name} keeps them where it has promised to`, () => assert.equal(keptSentence(true, agent), "kept_here"));
}
