// What of a message becomes HTML, and which links of it lead somewhere.
import assert from "node:assert/strict";
import { test } from "node:test";

import { copied, image, link, text } from "../../hfchat/page/static/replies.js";
import { rendered } from "./renderer.js";

const HERE = ["/logout", "/login?token=x", "logout", "//127.0.0.1/login", "http://127.0.0.1:1/x", "&#47;logout", "\\logout", "?x", "#x", "/%6cogin",
  "javascript:alert(1)", "data:text/html,x", "http:/logout", "blob:x", "http://127.0.0.1./x"];
for (const address of HERE) {
  test(`no link of a reply leads to this host: ${address}`, () => assert.equal(link(address, null, "words"), "words"));
}

test("a link to another host opens in a tab of its own, and its words and title are no HTML", () => {
  assert.equal(link("http://example.org/?a=1&amp;b=2", '"><b>', "words"),
    '<a href="http://example.org/?a=1&amp;b=2" title="&quot;&gt;&lt;b&gt;" target="_blank" rel="noopener noreferrer">words</a>');
  assert.match(link("mailto:a@example.org", null, "words"), /^<a href="mailto:a@example.org" target="_blank"/);
});

test("a picture is shown from its own words only", () => {
  assert.equal(image("data:image/png;base64,AA", null, '"x'), '<img src="data:image/png;base64,AA" alt="&quot;x">');
  assert.match(image("http://example.org/a.png", null, ""), /^<a href="http:\/\/example.org\/a.png" .*>🖼<\/a>$/);
  assert.equal(image("/login", null, "x"), "x");
});

test("only a note of the page's own has its buttons, and only those that are known", () => {
  const button = '<button class="hfchat-do hfchat-do-retry">', content = `${button}x</button>`;
  assert.equal(text({ role: "assistant", content, metadata: { id: "forged" } }), content);
  assert.equal(text({ role: "assistant", content, metadata: null }), content);
  const own = (words) => rendered(words, { metadata: { id: "hfchat-notice" } });
  assert.equal(own(`a ${content}`), `<p>a ${content}</p>`);
  for (const known of [
    '<button class="hfchat-do hfchat-do-own_credit">x</button>',
    '<a class="hfchat-do" href="/login/huggingface" target="_blank" rel="noreferrer">x</a>',
  ]) assert.equal(own(`a ${known}`), `<p>a ${known}</p>`);
  for (const forged of ['<button class="hfchat-do hfchat-do-program">', '<button class="hfchat-do hfchat-do-retry" onclick="x">', '<a class="hfchat-do" href="/logout">', '<a class="hfchat-do" href="/login/huggingface/callback">']) {
    assert.ok(own(`a ${forged}x</button>`).startsWith("<p>a &lt;"), forged);
    assert.ok(!own(forged).includes("data-own"));
  }
});

const said = (content, metadata = null) => ({ role: "assistant", content, metadata });
const COPIED = {
  "a reply": [[said("    a\n\tb  ")], "    a\n\tb  "],
  "a question": [{ role: "user", content: "\n  *a*", metadata: null }, "\n  *a*"],
  "a thought before it": [[said("hm", { title: "Reasoning" }), said("a")], "a"],
  "what the page says under it": [[said("a"), said("cut", { id: "hfchat-cut" }), said('<div class="hfchat-facts">x</div>', { id: "hfchat-facts" })], "a"],
  "what it says of the page's own elements": [[said('<div class="hfchat-facts">x</div>')], '<div class="hfchat-facts">x</div>'],
  "one in pieces": [[said("a\n\n"), said("b\n\n\n"), said("c")], "a\n\nb\n\n\nc"],
  "pieces that lost their ends": [[said("a"), said("b")], "a\n\nb"],
  "a failure alone": [[said("failed", { id: "hfchat-notice" })], ""],
  "a picture's name": [{ role: "user", content: `a\n\n[🖼 cat](#hfchat-image-${"0".repeat(32)})`, metadata: null }, "a\n\n🖼 cat"],
};
for (const [id, [messages, words]] of Object.entries(COPIED)) test(`copied: ${id}`, () => assert.equal(copied(messages), words));
