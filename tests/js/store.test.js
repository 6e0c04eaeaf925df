// What is kept, by person: without IndexedDB here, in memory, by the same steps.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { textMessage } from "../../hfchat/page/static/conversations/messages.js";
import { openStore } from "../../hfchat/page/static/conversations/store.js";

const [ONE, TWO] = ["1", "2"].map((digit) => digit.repeat(32));
const talk = (id, text = id, more = {}) => ({ id, person: "ann", title: id, updated: 1, messages: [textMessage("user", text)], ...more });
const showing = (...ids) => ids.map((id) => `[🖼 a](#hfchat-image-${id})`).join(" ");
let store;
beforeEach(async () => { store = await openStore(); });

test("where the browser denies it, it says that nothing is kept", () => assert.equal(store.keeps, false));

test("the newest is listed first, and each person has their own", async () => {
  for (const conversation of [talk("a", "a", { updated: 1 }), talk("b", "b", { updated: 3 }), talk("c", "c", { updated: 2, person: "bob" })]) await store.save(conversation);
  assert.deepEqual((await store.heads("ann")).map(({ id }) => id), ["b", "a"]);
  assert.deepEqual((await store.conversations("bob")).map(({ id }) => id), ["c"]);
  assert.equal(await store.conversation("bob", "a"), undefined);
  assert.equal(await store.conversation("ann", "gone"), undefined);
  await store.rename("bob", "a", "stolen");
  assert.equal((await store.conversation("ann", "a")).title, "a");
  await store.removeAll("ann");
  assert.deepEqual([await store.heads("ann"), (await store.heads("bob")).length], [[], 1]);
});

test("a head says how much there is, and has no messages", async () => {
  const head = await store.save(talk("a"));
  assert.deepEqual([head.count, head.version, head.messages], [1, 1, undefined]);
  assert.match(head.edition, /^[0-9a-f]{24}$/);
});

test("a conversation that went on in two tabs is kept twice", async () => {
  const { edition } = await store.save(talk("a", "shared"));
  const first = await store.save(talk("a", "first", { edition })), second = await store.save(talk("a", "second", { edition }));
  assert.equal(first.id, "a");
  assert.notEqual(second.id, "a");
  assert.deepEqual((await store.conversations("ann")).map(({ messages }) => messages[0].content[0].text).sort(), ["first", "second"]);
  // A page that is about to go looks at nothing first.
  assert.equal((await store.save(talk("a", "last", { edition }), { atOnce: true })).id, "a");
});

test("a name that was given stays while it grows", async () => {
  const { edition } = await store.save(talk("a"));
  await store.rename("ann", "a", "mine");
  assert.equal((await store.save(talk("a", "more", { edition, title: "by its words" }))).title, "mine");
});

test("a picture stays as long as a conversation refers to it", async () => {
  await store.add([talk("a", showing(ONE, TWO)), talk("b", showing(ONE))], [{ id: ONE, data: "one" }, { id: TWO, data: "two" }]);
  await store.addPictures("ann", [{ id: ONE, data: "another" }]);
  assert.equal(await store.picture("ann", ONE), "one");
  assert.equal(await store.picture("bob", ONE), undefined);
  await store.remove("ann", ["a"]);
  assert.deepEqual([await store.picture("ann", ONE), await store.picture("ann", TWO)], ["one", undefined]);
  await store.remove("ann", ["b"], { pictures: false });
  assert.equal(await store.picture("ann", ONE), "one");
  await store.dropPictures("ann", [ONE]);
  assert.equal(await store.picture("ann", ONE), undefined);
});

test("what was added to a question that nobody sent goes after a day", async (context) => {
  await store.addPictures("ann", [{ id: ONE, data: "one" }]);
  await store.dropPictures("ann");
  assert.equal(await store.picture("ann", ONE), "one");
  context.mock.timers.enable({ apis: ["Date"], now: Date.now() + 86_400_001 });
  await store.dropPictures("ann");
  assert.equal(await store.picture("ann", ONE), undefined);
});

test("what was deleted comes back as it was", async () => {
  await store.save(talk("a", "a", { rated: { 1: true } }));
  const conversation = await store.conversation("ann", "a");
  await store.remove("ann", ["a"]);
  await store.add([conversation]);
  assert.deepEqual(await store.conversation("ann", "a"), conversation);
});

test("what is attached never takes the content that a file brought under its id", async () => {
  await store.add([talk("a", showing(ONE))], [{ id: ONE, data: "forged" }]);
  assert.deepEqual(await store.withOwnId("ann", { id: ONE, data: "forged" }), { id: ONE, data: "forged" });
  assert.deepEqual(await store.withOwnId("ann", { id: TWO, data: "mine" }), { id: TWO, data: "mine" });
  const { id, data } = await store.withOwnId("ann", { id: ONE, data: "mine" });
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.notEqual(id, ONE);
  assert.equal(data, "mine");
});
