// The conversation that a tab shows, kept while it grows: with a chat of ours in Gradio's place, which answers the hidden buttons.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { requests } from "../../hfchat/page/static/gradio_bridge.js";
import { messagesFrom, textMessage, textOf } from "../../hfchat/page/static/conversations/messages.js";
import { openStore } from "../../hfchat/page/static/conversations/store.js";
import { Tab } from "../../hfchat/page/static/conversations/tab.js";

const says = { untitled: "Untitled", interrupted: "Interrupted.", retry: "Retry" };
const turn = (text) => [textMessage("user", text), textMessage("assistant", `${text}!`)];
let store, chat, tab, news, kept;

const open = () => {
  news = [];
  tab = new Tab(store, "ann", says, (what) => news.push(what));
  return tab;
};
// Until nothing is on its way to the store.
const settle = async () => { for (let step = 0; step < 20; step += 1) await Promise.resolve(); };
const show = async (...messages) => { chat = messages; tab.read(chat); await settle(); };
const talks = async () => (await store.conversations("ann")).map(({ title, messages }) => [title, messages.map(textOf)]);

beforeEach(async () => {
  store = await openStore();
  [chat, kept] = [[], new Map()];
  Object.assign(requests, { open: 0, ended: 0, emptied: "" });
  const buttons = {
    "hfchat-read": () => tab.read(chat),
    "hfchat-open": () => { chat = tab.giving.messages; tab.giving.answered(messagesFrom(chat)); },
  };
  document.getElementById = (id) => (Object.hasOwn(buttons, id) ? { click: buttons[id] } : null);
  globalThis.sessionStorage = {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, text) => void kept.set(name, text),
    removeItem: (name) => void kept.delete(name),
  };
  open();
});
afterEach(() => tab.close());

test("it is kept once something is asked, under its first question", async () => {
  await show();
  assert.deepEqual(await talks(), []);
  await show(...turn("why"));
  await show(...turn("why"), ...turn("more"));
  assert.deepEqual(await talks(), [["why", ["why", "why!", "more", "more!"]]]);
  assert.deepEqual(news, ["saved", "saved"]);
});

test("what only waits for a reply is not kept", async () => {
  await show(textMessage("user", "why"), { ...textMessage("assistant", "…"), metadata: { id: "hfchat-wait" } });
  assert.deepEqual(await talks(), [["why", ["why"]]]);
});

test("a cleared chat stays in the list, and what follows is another", async () => {
  await show(...turn("one"));
  await show();
  await show(...turn("two"));
  assert.deepEqual((await talks()).map(([title]) => title).sort(), ["one", "two"]);
});

test("of a conversation whose only turn was taken back nothing is left", async () => {
  await show(...turn("one"));
  requests.emptied = "undo";
  await show();
  assert.deepEqual(await talks(), []);
});

test("it is opened again, after a reload too, and goes on", async () => {
  await show(...turn("one"));
  const { id } = tab.conversation;
  chat = [];
  open();
  await tab.begin();
  assert.deepEqual(chat.map(textOf), ["one", "one!"]);
  await show(...chat, ...turn("two"));
  assert.deepEqual(await talks(), [["one", ["one", "one!", "two", "two!"]]]);
  assert.equal(tab.conversation.id, id);
  assert.equal(await tab.open("gone"), false);
  assert.equal(await tab.open(""), true);
  assert.deepEqual([chat, tab.conversation.id], [[], undefined]);
});

test("another person's place is not opened", async () => {
  await show(...turn("one"));
  const other = new Tab(store, "bob", says, () => {});
  chat = [];
  await other.begin();
  assert.deepEqual([chat, other.conversation], [[], {}]);
});

test("a reply that was broken off says so, with a button to try again", async () => {
  await store.add([{ id: "a", person: "ann", title: "a", updated: 1, unfinished: true, messages: [textMessage("user", "a")] }]);
  assert.equal(await tab.open("a"), true);
  assert.match(textOf(chat.at(-1)), /^Interrupted\.\n\n<button class="hfchat-do hfchat-do-retry">Retry<\/button>$/);
  assert.equal(chat.at(-1).metadata.id, "hfchat-notice");
});

test("of a very long one the end is shown and all is kept", async () => {
  const messages = Array.from({ length: 700 }, (_, number) => turn(`${number}`)).flat();
  await store.add([{ id: "a", person: "ann", title: "a", named: true, updated: 1, messages }]);
  await tab.open("a");
  assert.deepEqual([chat.length, textOf(chat[0]), tab.earlier.length], [200, "600", 1200]);
  await show(...chat, ...turn("more"));
  assert.deepEqual((await store.conversation("ann", "a")).messages.map(textOf), [...messages.map(textOf), "more", "more!"]);
});

test("thumbs are kept by the reply's place, and go with it", async () => {
  await show(...turn("one"), ...turn("two"));
  assert.equal(tab.rate(1, true), undefined);
  assert.equal(tab.rate(3, false), undefined);
  assert.equal(tab.rate(1, null), true);
  await settle();
  const rated = async () => (await store.heads("ann"))[0].rated;
  assert.deepEqual(await rated(), { 3: false });
  tab.rate(1, true);
  tab.unrate();
  await settle();
  assert.deepEqual(await rated(), { 1: true });
  tab.unrate(0);
  await settle();
  assert.deepEqual(await rated(), {});
});

test("what went on elsewhere is kept beside it", async () => {
  await show(...turn("one"));
  const { id, edition } = tab.conversation;
  await store.save({ id, edition, person: "ann", title: "one", updated: 1, messages: turn("elsewhere") });
  await show(...turn("one"), ...turn("here"));
  assert.equal((await talks()).length, 2);
  assert.equal(news.at(-1), "copied");
});

for (const [name, told] of [["QuotaExceededError", "full"], ["AbortError", "not_saved"]]) {
  test(`what could not be kept is said and tried again: ${name}`, async () => {
    const { save } = store;
    store.save = async () => { throw new DOMException("", name); };
    await show(...turn("one"));
    assert.deepEqual(news, [told]);
    store.save = save;
    tab.saveAgain();
    await settle();
    assert.deepEqual(await talks(), [["one", ["one", "one!"]]]);
  });
}

test("what is deleted goes from the chat too, and is not kept again", async () => {
  await show(...turn("one"));
  const { id } = tab.conversation;
  await store.remove("ann", [id]);
  await tab.forget([id]);
  assert.deepEqual([chat, await talks()], [[], []]);
});

test("a page that goes keeps what stands in the box, for the same person", () => {
  tab.leave("half a thought");
  assert.deepEqual(JSON.parse(kept.get("hfchat-draft")), { person: "ann", typed: "half a thought" });
  tab.close();
  assert.equal(kept.size, 0);
  tab.leave("more");
  assert.equal(kept.size, 0);
});
