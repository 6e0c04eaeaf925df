// Arrow-up in an empty box writes the last question of this conversation into it, again the one before; arrow-down goes back, to
// the empty box at the end, as in a terminal. What was changed by hand is left alone.
import { BOX, composing, type } from "./dom.js";

export class PreviousQuestions {
  #place = -1;
  #written = "";

  // What is to stand in the box after this key, or null where the key does what it always does. `questions` are the
  // conversation's, the newest last; `caret` is where it stands in `value`.
  next(key, value, caret, questions) {
    if (!value) this.#place = -1;
    else if (this.#place < 0 || value !== this.#written) return null;
    const up = key === "ArrowUp", edge = up ? value.slice(0, caret) : value.slice(caret);
    const place = this.#place + (up ? 1 : -1);
    if (edge.includes("\n") || place < -1 || place >= questions.length) return null;
    this.#place = place;
    this.#written = place < 0 ? "" : questions.at(-1 - place);
    return this.#written;
  }
}

export function beginPreviousQuestions(questions) {
  const previous = new PreviousQuestions();
  document.addEventListener("keydown", (event) => {
    const { target: box, key } = event;
    if (!["ArrowUp", "ArrowDown"].includes(key) || !box.matches?.(BOX) || composing(event)) return;
    if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey || box.selectionStart !== box.selectionEnd) return;
    const text = previous.next(key, box.value, box.selectionStart, questions());
    if (text === null) return;
    event.preventDefault();
    type(box, text);
    box.setSelectionRange(text.length, text.length);
  });
}
