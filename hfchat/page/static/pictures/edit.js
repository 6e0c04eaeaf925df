// While a question is edited its pictures stand below its words, each to be taken out, and their references are not among
// these: those that are left are put back when it is sent.
import { each, element, onChange, type } from "../dom.js";
import { FIELD, messageButton } from "../editing.js";
import { pictureSays as says } from "../language.js";
import { pictureItem, pictures } from "./pictures.js";
import { referencesIn, withoutReferences, withReferences } from "./references.js";

const edited = new WeakMap();

async function takeOut(field) {
  const found = referencesIn(field.value);
  if (!found.length) return;
  const shown = element("ul", { class: "hfchat-editing", "aria-label": says.to_send });
  edited.set(field, found);
  type(field, withoutReferences(field.value));
  field.after(shown);
  for (const { id, name, file } of found) {
    const item = pictureItem({ name, file, data: await pictures.get(id) }, () => {
      edited.set(field, edited.get(field).filter((other) => other.id !== id));
      item.remove();
      field.focus();
    });
    shown.append(item);
  }
}

each(FIELD, takeOut);
// Gradio goes on with the place that the field was in.
onChange(["childList"], () => {
  for (const shown of document.querySelectorAll(".hfchat-editing")) if (!shown.previousElementSibling?.matches(FIELD)) shown.remove();
});

window.addEventListener("click", (event) => {
  if (messageButton(event).does !== "submit") return;
  for (const field of document.querySelectorAll(FIELD)) {
    const left = edited.get(field);
    if (left) type(field, withReferences(field.value, left));
    edited.delete(field);
  }
}, true);
