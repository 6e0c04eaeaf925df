// The keys of a terminal in the box: up brings the question before, down the one after, and nothing that was written is lost.
import assert from "node:assert/strict";
import { test } from "node:test";

import { PreviousQuestions } from "../../hfchat/page/static/previous_questions.js";

const QUESTIONS = ["first", "second\nof two lines", "third"];

// Presses keys as a person does, the caret at the end of what is written. Gives what the box has after each, null where the key is not taken.
function pressed(keys, { value = "", questions = QUESTIONS } = {}) {
  const previous = new PreviousQuestions();
  return keys.map((key) => {
    const next = previous.next(`Arrow${key}`, value, value.length, questions);
    value = next ?? value;
    return next;
  });
}

test("up brings the last question, and down the empty box", () => {
  assert.deepEqual(pressed(["Up", "Down", "Up"]), ["third", "", "third"]);
});
test("up again brings the one before; at the first line only", () => {
  const previous = new PreviousQuestions();
  const up = (value, caret = value.length) => previous.next("ArrowUp", value, caret, QUESTIONS);
  assert.equal(up(""), "third");
  assert.equal(up("third"), "second\nof two lines");
  assert.equal(up("second\nof two lines"), null); // the caret goes to the first line
  assert.equal(up("second\nof two lines", 3), "first");
  assert.equal(up("first"), null); // there is none before
  assert.equal(previous.next("ArrowDown", "first", 5, QUESTIONS), "second\nof two lines");
  assert.equal(previous.next("ArrowDown", "second\nof two lines", 2, QUESTIONS), null);
  assert.equal(previous.next("ArrowDown", "second\nof two lines", 19, QUESTIONS), "third");
});
for (const [name, keys, options] of [
  ["what is being written", ["Up", "Down"], { value: "mine" }],
  ["a conversation without questions", ["Up", "Down"], { questions: [] }],
]) test(`the keys do what they always do: ${name}`, () => assert.deepEqual(pressed(keys, options), [null, null]));
test("a question that was changed is somebody's own text", () => {
  const previous = new PreviousQuestions();
  previous.next("ArrowUp", "", 0, QUESTIONS);
  assert.equal(previous.next("ArrowUp", "third!", 6, QUESTIONS), null);
  assert.equal(previous.next("ArrowDown", "third!", 6, QUESTIONS), null);
  assert.equal(previous.next("ArrowUp", "", 0, QUESTIONS), "third"); // emptied, it begins anew
});
test("down does nothing in an empty box", () => assert.deepEqual(pressed(["Down"]), [null]));
