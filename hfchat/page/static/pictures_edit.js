// While a question is edited its pictures stand below its words, each to be taken out, and their references are not among
// these: those that are left are put back when it is sent.

const FIELD = ".edit-textarea";
const edited = new WeakMap();

function write(field, text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

async function takeOut(field) {
  if (edited.has(field) || !field.value.includes(HREF)) return;
  const found = referencesIn(field.value), says = FACTS.pictures[window.hfchat.language];
  const shown = element("ul", { class: "hfchat-editing", "aria-label": says.to_send });
  edited.set(field, found);
  write(field, withoutReferences(field.value).trim());
  field.after(shown);
  for (const { id, name } of found) {
    const data = await pictures.get(id), words = says.remove.replace("{name}", name);
    const item = element("li", {}, data ? element("img", { src: data, alt: name, title: name, draggable: "false" }) : name,
      button(icon("close"), () => {
        edited.set(field, edited.get(field).filter((other) => other.id !== id));
        item.remove();
        field.focus();
      }, { "aria-label": words, title: words }));
    shown.append(item);
  }
}

function watchEdits() {
  for (const field of document.querySelectorAll(FIELD)) takeOut(field);
  // Gradio goes on with the place that the field was in.
  for (const shown of document.querySelectorAll(".hfchat-editing")) if (!shown.previousElementSibling?.matches(FIELD)) shown.remove();
}

window.addEventListener("click", (event) => {
  const sends = event.target.closest?.("#hfchat-conversation .message-buttons button")?.getAttribute("aria-label") === window.hfchat.says.submit;
  if (!sends) return;
  for (const field of document.querySelectorAll(FIELD)) {
    const references = edited.get(field)?.map(referenceTo).join(" ");
    if (references !== undefined) write(field, [field.value.trim(), references].filter(Boolean).join("\n\n"));
    edited.delete(field);
  }
}, true);
