// What is changed of Gradio's requests and of their answers, by the hidden button that was pressed or by what the visitor did.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { beforeSending, bridged, onEvent, onPress, requests } from "../../hfchat/page/static/gradio_bridge.js";

const STEPS = ["submit", "undo", "like", "click", "retry"];
const RUN = "http://127.0.0.1:8000/gradio_api/run/predict", JOIN = "http://127.0.0.1:8000/gradio_api/queue/join";
let sent, answer, box;

globalThis.window = { gradio_config: {
  dependencies: STEPS.map((event, id) => ({ id, targets: [[id, event]] })),
  components: [{ id: 7, props: { elem_id: "button" } }],
} };
document.documentElement.classList = { toggle: (_, on) => { box.asking = on; } };
document.querySelector = () => box;

beforeEach(() => {
  [sent, answer, box] = [[], { data: [] }, { value: "" }];
  onPress("button", {});
});

const send = async (address, options) => {
  sent.push([address, options]);
  if (answer instanceof Error) throw answer;
  return new Response(JSON.stringify(answer), { status: answer.status ?? 200 });
};
const post = (event, body = {}, url = RUN) => {
  const given = { fn_index: STEPS.indexOf(event), data: ["asked"], ...body };
  return bridged([url, { method: "POST", body: JSON.stringify(given) }], send);
};
const body = () => JSON.parse(sent.at(-1)[1].body);

test("what is no step of Gradio's is sent as it is", async () => {
  const options = { method: "POST", body: "no JSON" };
  await bridged(["/own-token", options], send);
  await bridged([RUN], send);
  assert.deepEqual(sent, [["/own-token", options], [RUN, undefined]]);
});

test("a step that nobody changes is sent as it was written", async () => {
  const options = { method: "POST", body: '{"fn_index": 3,  "data": []}' };
  await bridged([RUN, options], send);
  assert.equal(sent[0][1], options);
});

test("a hidden button's request is answered here, and nothing is sent", async () => {
  onPress("button", { instead: (data) => [...data, "more"] });
  assert.deepEqual(await (await post("click", { trigger_id: 7 })).json(), { data: ["asked", "more"], is_generating: false });
  assert.deepEqual(sent, []);
});

test("a hidden button's data are given, and what is answered is taken, also where nothing came", async () => {
  const taken = [];
  onPress("button", { before: () => ["given"], after: (data) => taken.push(data) });
  answer = { data: ["a", "b"] };
  await post("click", { trigger_id: 7 });
  assert.deepEqual(body().data, ["given"]);
  answer = { data: ["a"], status: 500 };
  await post("click", { trigger_id: 7 });
  answer = new Error("no network");
  await assert.rejects(post("click", { trigger_id: 7 }));
  assert.deepEqual(taken, [["a", "b"], [], []]);
});

test("what a visitor did is told once it was answered well", async () => {
  const told = [];
  onEvent("retry", { after: ({ data }) => told.push(data) });
  onEvent("like", { before: (given) => ({ ...given, event_data: "changed" }) });
  await post("retry");
  answer = { status: 500 };
  await post("retry");
  assert.deepEqual(told, [["asked"]]);
  await post("like");
  assert.equal(body().event_data, "changed");
});

test("each step may be given another body, by its address", async () => {
  beforeSending(async (given, url) => (url === JOIN ? { ...given, data: ["pictures"] } : null));
  await post("click", {}, JOIN);
  assert.deepEqual(body().data, ["pictures"]);
  await post("click");
  assert.deepEqual(body().data, ["asked"]);
});

test("while something is asked that a visitor waits for, the page says so", async () => {
  const asking = post("submit");
  assert.deepEqual([requests.open, box.asking], [1, true]);
  await asking;
  assert.deepEqual([requests.open, box.asking], [0, false]);
  const unseen = post("click");
  assert.deepEqual([requests.open, box.asking], [1, false]);
  await unseen;
  answer = new Error("no network");
  await assert.rejects(post("submit"));
  assert.equal(requests.open, 0);
});

for (const [name, draft, left] of [["as it was asked", "asked", ""], ["with more behind it", "asked and more", " and more"], ["of its own", "next", "next"]]) {
  test(`what was written while a question was on its way stays: ${name}`, async () => {
    answer = { data: [""] };
    box.value = draft;
    assert.deepEqual((await (await post("submit")).json()).data, [left]);
  });
}

test("what was written before a question is taken back stays behind it, once", async () => {
  answer = { data: ["x", "question"] };
  box.value = "draft";
  assert.equal((await (await post("undo")).json()).data[1], "question\n\ndraft");
  assert.equal(requests.emptied, "undo");
  box.value = "question\n\ndraft";
  answer = { data: ["x", "earlier"] };
  assert.equal((await (await post("undo")).json()).data[1], "earlier");
});
