// A question that is edited: its field has a name and the focus, Escape leaves it, Ctrl+Enter sends it, and nothing is sent
// where nothing is in it. What is taken back stands in the box, and the focus with it.
import { act, CHAT, composing, each, textBox } from "./dom.js";
import { says } from "./language.js";

export const FIELD = ".edit-textarea";
const button = (name, inside) => inside?.querySelector(act(name));
const fields = () => [...document.querySelectorAll(FIELD)];

// The button below a message that was clicked, and what it does.
export function messageButton(event) {
  const clicked = event.target.closest?.(`${CHAT} .message-buttons button`);
  return { clicked, does: clicked?.dataset.act };
}

function boxWhenGone(clicked, tries) {
  if (!clicked.isConnected) textBox()?.focus();
  else if (tries) setTimeout(boxWhenGone, 50, clicked, tries - 1);
}

document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.(FIELD) || composing(event)) return;
  const sends = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (!sends && event.key !== "Escape") return;
  event.preventDefault();
  button(sends ? "submit" : "cancel", document.querySelector(CHAT))?.click();
});
document.addEventListener("click", (event) => {
  const { clicked, does } = messageButton(event), place = clicked?.closest(".message-buttons");
  if (does === "submit" && fields().every((field) => !field.value.trim())) {
    event.stopPropagation();
    fields()[0]?.focus();
  }
  if (does === "undo") boxWhenGone(clicked, 100);
  if (does === "cancel") setTimeout(() => button("edit", place)?.focus());
}, true);
each(FIELD, (field) => {
  field.setAttribute("aria-label", says.edit_question);
  field.enterKeyHint = "enter";
  field.focus();
  setTimeout(() => field.setSelectionRange(field.value.length, field.value.length));
});
