// A question that is edited: its field has a name and the focus, Escape leaves it, Ctrl+Enter sends it, and nothing is sent
// where nothing is in it. What is taken back stands in the box, and the focus with it.
import { added, CHAT, onChange, textBox } from "./dom.js";
import { says } from "./language.js";

export const FIELD = ".edit-textarea";
const named = (name, inside) => inside?.querySelector(`button[aria-label="${name}"]`);
const fields = () => [...document.querySelectorAll(FIELD)];

// The name of the button below a message that was clicked, and the button.
export function messageButton(event) {
  const button = event.target.closest?.(`${CHAT} .message-buttons button`);
  return { button, label: button?.getAttribute("aria-label") };
}

function boxWhenGone(button, tries) {
  if (!button.isConnected) textBox()?.focus();
  else if (tries) setTimeout(boxWhenGone, 50, button, tries - 1);
}

document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.(FIELD) || event.isComposing) return;
  const sends = event.key === "Enter" && (event.ctrlKey || event.metaKey);
  if (!sends && event.key !== "Escape") return;
  event.preventDefault();
  named(sends ? says.submit : says.cancel, document.querySelector(CHAT))?.click();
});
document.addEventListener("click", (event) => {
  const { button, label } = messageButton(event), place = button?.closest(".message-buttons");
  if (label === says.submit && fields().every((field) => !field.value.trim())) {
    event.stopPropagation();
    fields()[0]?.focus();
  }
  if (label === says.undo) boxWhenGone(button, 100);
  if (label === says.cancel) setTimeout(() => named(says.edit, place)?.focus());
}, true);
onChange(["childList"], (changes) => {
  for (const field of added(changes, FIELD)) {
    field.setAttribute("aria-label", says.edit_question);
    field.focus();
    setTimeout(() => field.setSelectionRange(field.value.length, field.value.length));
  }
});
