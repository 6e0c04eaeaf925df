// Files of a question: which bytes are text, what they cost, and which paste is too long for the box.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as references from "../../hfchat/page/static/pictures/references.js";
import * as texts from "../../hfchat/page/static/pictures/texts.js";

const utf8 = (text) => new TextEncoder().encode(text);
const utf16 = (text, little) => Uint8Array.from([...text].flatMap((sign) => {
  const [high, low] = [sign.charCodeAt(0) >> 8, sign.charCodeAt(0) & 255];
  return little ? [low, high] : [high, low];
}));

const DECODED = {
  "UTF-8": [utf8("naïve 猫"), "naïve 猫"],
  "UTF-8 with its mark": [Uint8Array.from([0xef, 0xbb, 0xbf, ...utf8("é")]), "é"],
  "UTF-16, little end first": [Uint8Array.from([0xff, 0xfe, ...utf16("aé", true)]), "aé"],
  "UTF-16, big end first": [Uint8Array.from([0xfe, 0xff, ...utf16("aé", false)]), "aé"],
  "Latin-1": [Uint8Array.from([0x63, 0x61, 0x66, 0xe9]), "café"],
  "Latin-1 of Windows": [Uint8Array.from([0x80, 0x93, 0x61, 0x94]), "€“a”"],
  "lines of Windows and tabs": [utf8("a\tb\r\nc"), "a\tb\r\nc"],
  "a log with colours": [utf8(`\u001b[31mred\u001b[0m`), "\u001b[31mred\u001b[0m"],
  "nothing": [utf8(""), ""],
  "a program": [Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]), null],
  "a zip": [Uint8Array.from([0x50, 0x4b, 3, 4, 20, 0, 6, 0]), null],
  "bytes without a zero": [Uint8Array.from(Array.from({ length: 400 }, (_, place) => (place * 7) % 255 + 1)), null],
  "UTF-16 without a mark": [Uint8Array.from([0x61, 0, 0xe9, 0, 0x0a, 0]), "aé\n"],
  "the other UTF-16 without a mark": [Uint8Array.from([0, 0x61, 0, 0xe9, 0, 0x0a]), "aé\n"],
  "broken UTF-8 that says it is": [Uint8Array.from([0xef, 0xbb, 0xbf, 0xff, 0xff]), null],
};
for (const [name, [bytes, text]] of Object.entries(DECODED)) test(`bytes as text: ${name}`, () => assert.equal(texts.decoded(bytes), text));

const OLD = { zh: ["中文，好", [0xd6, 0xd0, 0xce, 0xc4, 0xa3, 0xac, 0xba, 0xc3]], ja: ["日本", [0x93, 0xfa, 0x96, 0x7b]], ar: ["مرحبا", [0xe3, 0xd1, 0xcd, 0xc8, 0xc7]], fr: ["été,", [0xe9, 0x74, 0xe9, 0x2c]] };
for (const [spoken, [text, bytes]] of Object.entries(OLD)) {
  test(`bytes as text that is not Unicode: ${spoken}`, () => assert.equal(texts.decoded(Uint8Array.from(bytes), spoken), text));
}

test("what is no Chinese is read as Latin-1 on a Chinese page too", () => assert.equal(texts.decoded(Uint8Array.from([0x63, 0x61, 0x66, 0xe9, 0x2c]), "zh"), "café,"));

test("a PDF is known by its beginning", () => {
  assert.ok(texts.isPdf(utf8("\n%PDF-1.7")));
  assert.ok(!texts.isPdf(utf8(`${"x".repeat(2000)}%PDF-1.7`)));
});

const PASTES = { "8,000 signs": ["x".repeat(8000), false], "8,001 signs": ["x".repeat(8001), true], "200 lines": ["\n".repeat(199), false], "201 lines": ["\n".repeat(200), true] };
for (const [name, [text, long]] of Object.entries(PASTES)) test(`a paste of ${name}`, () => assert.equal(texts.isLong(text), long));

test("what goes back into the box, and how many lines a paste has", () => {
  assert.ok(texts.fitsBox("x".repeat(20_000)) && !texts.fitsBox("\n".repeat(400)));
  assert.equal(texts.pastedLines("a\nb\n"), 2);
});

test("tokens are estimated as the server does", () => {
  assert.equal(texts.tokensOf("word ".repeat(700)), 1000);
  assert.equal(texts.tokensOf("1".repeat(15)), 10);
  assert.equal(texts.tokensOf("猫".repeat(10)), 10);
});

test("a size in bytes, as the language writes it", () => {
  assert.deepEqual(["a", "é".repeat(600), "x".repeat(1_250_000)].map(texts.sizeOf), ["1 byte", "1 kB", "1.3 MB"]);
});

test("a file is kept by what is in it, and referred to by its name", async () => {
  const item = await texts.fileItem("Pasted text, 2 lines", "a\n[b]"), again = await texts.fileItem("other", "a\n[b]");
  assert.equal(item.id, again.id);
  assert.equal(texts.textOfFile(item.data), "a\n[b]");
  const photo = { id: "f".repeat(32), name: "photo.jpg" }, { data, ...reference } = item;
  const text = references.withReferences("why?", [photo, item]);
  assert.equal(text, `why?\n\n[🖼 photo.jpg](#hfchat-image-${photo.id}) [📄 Pasted text, 2 lines](#hfchat-file-${item.id})`);
  assert.deepEqual(references.referencesIn(text), [photo, reference]);
  assert.equal(references.withoutReferences(text), "why?");
  assert.equal(references.withNames(text), "why?\n\n🖼 photo.jpg 📄 Pasted text, 2 lines");
  assert.ok(references.withLinks(text).includes(`<a href="#hfchat-file-${item.id}">📄 Pasted text, 2 lines</a>`));
});

test("of an exported file's files those get in that are text", () => {
  const ids = ["a", "b", "c"].map((sign) => sign.repeat(32));
  const messages = ids.map((id) => ({ role: "user", content: [{ type: "text", text: `[📄 x](#hfchat-file-${id})` }] }));
  const given = { [ids[0]]: "data:text/plain;charset=utf-8,hello", [ids[1]]: "data:text/html,<script>", [ids[2]]: `data:text/plain;charset=utf-8,${"x".repeat(3_000_001)}` };
  assert.deepEqual(references.picturesFrom(given, [{ messages }]), [{ id: ids[0], data: given[ids[0]] }]);
});
