// How a question's text refers to its pictures.
import assert from "node:assert/strict";
import { test } from "node:test";

import { textMessage } from "../../hfchat/page/static/conversations/messages.js";
import * as references from "../../hfchat/page/static/pictures/references.js";

const ID = "0123456789abcdef".repeat(2), CAT = { id: ID, name: "cat 1.jpg" };

test("a reference is read as it was written", () => {
  const text = references.withReferences("look", [CAT, { ...CAT, name: "ñandú_2.png" }]);
  assert.equal(text, `look\n\n[🖼 cat 1.jpg](#hfchat-image-${ID}) [🖼 ñandú_2.png](#hfchat-image-${ID})`);
  assert.deepEqual(references.referencesIn(text), [{ name: "cat 1.jpg", id: ID }, { name: "ñandú_2.png", id: ID }]);
  assert.equal(references.withNames(text), "look\n\n🖼 cat 1.jpg 🖼 ñandú_2.png");
  assert.equal(references.withoutReferences(text).trim(), "look");
  assert.equal(references.withReferences("", [CAT]), references.referenceTo(CAT));
  assert.equal(references.withReferences("look", []), "look");
});

for (const text of [`[🖼 a](#hfchat-image-${ID}0)`, `[🖼 a](#hfchat-image-${ID.toUpperCase()})`, `[a](#hfchat-image-${ID})`, `[🖼 ](#hfchat-image-${ID})`,
  `[🖼 ${"a".repeat(61)}](#hfchat-image-${ID})`, `[🖼 a\nb](#hfchat-image-${ID})`, `[🖼 a](http://x/#hfchat-image-${ID})`]) {
  test(`this is none: ${JSON.stringify(text)}`, () => assert.deepEqual(references.referencesIn(text), []));
}

const NAMES = { "photo.jpg": "photo.jpg", "a](javascript:x)": "a javascript x", "  two\n lines ": "two lines", "\u202e": "unnamed", "": "unnamed", "e\u0301.png": "é.png" };
for (const [name, plain] of Object.entries(NAMES)) {
  test(`a file's name: ${JSON.stringify(name)}`, () => assert.equal(references.plainName(name, "unnamed"), plain));
}

test("a name is cut between characters, and a reference to it is one", () => {
  const name = references.plainName("𝒳".repeat(61), "unnamed");
  assert.equal([...name].length, 60);
  assert.equal(references.referencesIn(references.referenceTo({ id: ID, name })).length, 1);
});

test("only what questions refer to is theirs", () => {
  const messages = [textMessage("user", references.referenceTo(CAT)), textMessage("assistant", `[🖼 a](#hfchat-image-${"f".repeat(32)})`)];
  assert.deepEqual(references.picturesOf({ messages }, { messages: [] }), new Set([ID]));
});
