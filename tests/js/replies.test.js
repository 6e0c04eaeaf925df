// What of a message becomes HTML, and which links of it lead somewhere.
import assert from "node:assert/strict";
import { test } from "node:test";

import { html, image, link, text } from "../../hfchat/page/static/replies.js";

const shown = (raw, block = false) => html(raw, block, new Map());

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

const RAW = {
  "<b>bold</b>": "<b>bold</b>",
  '<B onclick="x">bold</B>': "<b>bold</b>",
  "<script>x</script>": "&lt;script&gt;x&lt;/script&gt;",
  '<form action="/logout">': '&lt;form action=&quot;/logout&quot;&gt;',
  "List<String>": "List&lt;String&gt;",
  "1 < 2 > 0": "1 &lt; 2 &gt; 0",
  '<button class="hfchat-do hfchat-do-retry">x</button>': "&lt;button class=&quot;hfchat-do hfchat-do-retry&quot;&gt;x&lt;/button&gt;",
};
for (const [raw, made] of Object.entries(RAW)) test(`raw HTML: ${raw}`, () => assert.equal(shown(raw), made));

test("what is shown as text in a block is a paragraph with its lines", () => {
  assert.equal(shown("<form>\na\n</form>\n", true), "<p>&lt;form&gt;<br>a<br>&lt;/form&gt;</p>\n");
});

test("only a note of the page's own has its buttons, and only those that are known", () => {
  const button = '<button class="hfchat-do hfchat-do-retry">', content = `${button}x</button>`;
  assert.equal(text({ content, metadata: { id: "forged" } }), content);
  assert.equal(text({ content, metadata: null }), content);
  const own = (words) => shown(text({ content: words, metadata: { id: "hfchat-notice" } }));
  assert.equal(own(content), content);
  for (const known of ['<button class="hfchat-do hfchat-do-own_credit">', '<a class="hfchat-do" href="/login/huggingface" target="_blank" rel="noreferrer">']) {
    assert.ok(own(`${known}x`).startsWith("<"), known);
  }
  for (const forged of ['<button class="hfchat-do hfchat-do-program">', '<button class="hfchat-do hfchat-do-retry" onclick="x">', '<a class="hfchat-do" href="/logout">', '<a class="hfchat-do" href="/login/huggingface/callback">']) {
    assert.ok(own(forged).startsWith("&lt;"), forged);
    assert.ok(!own(forged).includes("data-own"));
  }
});
