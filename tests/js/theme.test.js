// Light, dark or as the system: what decides.
import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.matchMedia ??= () => ({ matches: false, addEventListener() {} });
const { chosen } = await import("../../hfchat/page/static/theme.js");

const CASES = [
  ["nothing was chosen", "", null, "system"],
  ["it was chosen by hand", "", "dark", "dark"],
  ["the address names it", "?__theme=light", null, "light"],
  ["the address goes first", "?__theme=light", "dark", "light"],
  ["the address names none", "?__theme=system", "dark", "dark"],
  ["what is kept is none", "", "<b>", "system"],
];
for (const [name, query, kept, expected] of CASES) {
  test(`${name}: ${expected}`, () => assert.equal(chosen(`http://127.0.0.1/${query}`, kept), expected));
}
