// The tray above the box: pictures that go with the next question, added by a button, by pasting, or by dropping them.
import { beforeSubmit, busy, element, iconButton, onChange, submit, textBox, type } from "../dom.js";
import { requests } from "../gradio_bridge.js";
import { fill, pictureSays } from "../language.js";
import { watchEdits } from "./edit.js";
import { PICTURE, pictureFrom, pictureItem, pictures, showPictures } from "./pictures.js";
import { plainName, referencesIn, withoutReferences, withReferences } from "./references.js";

class Tray {
  items = [];
  #work = Promise.resolve();
  #working = 0;
  #sentAt = 0;

  constructor(says) {
    this.says = says;
    this.list = element("ul", { "aria-label": says.to_send });
    this.said = element("p", { role: "status" });
    this.blind = element("p", { role: "status" });
    this.box = element("div", { id: "hfchat-tray" }, this.list, this.said, this.blind);
    this.file = element("input", { type: "file", accept: "image/*", multiple: true, hidden: true, id: "hfchat-picture-files",
      "aria-label": says.add, onchange: () => { this.add([...this.file.files]); this.file.value = ""; } });
    this.button = iconButton("picture", says.add, () => this.file.click(), { id: "hfchat-add-pictures" });
    this.hint = element("div", { id: "hfchat-drop", hidden: true }, says.drop);
    document.body.append(this.hint, this.file);
  }

  // Gradio may draw the box anew. The button comes after the text area: a label, as this is in, names the first it has.
  place() {
    const area = textBox(), label = area?.closest("label");
    if (!label) return;
    if (!this.box.isConnected || this.box.nextElementSibling !== label) label.before(this.box);
    if (this.button.previousElementSibling !== area) area.after(this.button);
  }

  say(text) { this.said.textContent = text; }

  // What is known of the picked model, before it is asked.
  warn() {
    const picker = document.getElementById("hfchat-model"), blind = this.items.length && picker?.classList.contains("hfchat-no-pictures");
    const text = blind ? fill(this.says.blind, { model: picker.querySelector("input").value }) : "";
    if (this.blind.textContent !== text) this.blind.textContent = text;
  }

  // One after the other; what is no picture is said, and the others are added.
  add(files) {
    this.#working += 1;
    this.say("");
    this.#work = this.#work.then(async () => {
      const faults = [];
      for (const file of files) {
        const fault = await this.#take(file);
        if (fault) faults.push(fault);
        if (fault === this.#full) break;
      }
      this.say(faults.join(" "));
    }).finally(() => {
      this.#working -= 1;
      textBox()?.focus();
      document.getElementById("hfchat-box")?.scrollIntoView({ block: "nearest" });
    });
    return this.#work;
  }

  get #full() { return fill(this.says.many, { limit: PICTURE.atOnce }); }

  async #take(file) {
    const name = plainName(file.name, this.says.unnamed);
    if (this.items.length >= PICTURE.atOnce) return this.#full;
    if (file.size > PICTURE.fileMB * 1e6) return fill(this.says.large, { name, limit: PICTURE.fileMB });
    try {
      const picture = await pictureFrom(file, this.says.unnamed);
      await pictures.keep(picture);
      this.#put(picture);
      return "";
    } catch { return fill(this.says.no_picture, { name }); }
  }

  #put(picture) {
    if (!this.items.some(({ id }) => id === picture.id)) this.items.push(picture);
    this.draw();
  }

  draw() {
    this.list.replaceChildren(...this.items.map((item) => pictureItem(item, () => this.remove(item))));
    this.warn();
  }

  remove(item) {
    this.items = this.items.filter((other) => other !== item);
    this.say("");
    this.draw();
    pictures.forget(item.id);
    textBox()?.focus();
  }

  clear() { this.items = []; this.say(""); this.draw(); }

  // What is typed, with the references of what is in the tray.
  get text() {
    const typed = textBox()?.value ?? "";
    return this.items.length ? withReferences(typed, this.items) : typed;
  }

  // The question is about to be sent: Gradio takes the box's text a moment later. What is still being drawn is waited for.
  send(event) {
    if (this.#working) {
      event.preventDefault();
      event.stopImmediatePropagation();
      this.#work.then(submit);
      return;
    }
    if (!this.items.length) return;
    pictures.asked = this.items.map(({ id }) => id);
    this.#sentAt = Date.now();
    // Meanwhile a conversation that had one of them too may have been deleted.
    for (const item of this.items) pictures.keep(item);
    type(textBox(), this.text);
    this.clear();
  }

  // References that came back into the box, with a question that was undone or not sent, become pictures in the tray again.
  async takeBack() {
    const area = textBox();
    if (!area || busy() || requests.open || Date.now() - this.#sentAt < 1000) return;
    const found = referencesIn(area.value);
    if (!found.length) return;
    pictures.asked = [];
    type(area, withoutReferences(area.value));
    const gone = [];
    for (const { id, name } of found) {
      const data = await pictures.get(id);
      if (data) this.#put({ id, name, data });
      else gone.push(fill(this.says.gone, { name }));
    }
    this.say(gone.join(" "));
  }
}

let tray = null;

// What stands in the box, with the references of what is in the tray.
export const typedText = () => tray?.text ?? textBox()?.value;

export function beginPictures(store, person) {
  pictures.begin(store, person);
  tray ??= listen(new Tray(pictureSays));
  tray.clear();
  tray.place();
  showPictures();
  store.dropPictures(person).catch(() => {});
}

const elsewhere = (target) => target.matches?.("input, textarea, [contenteditable]") && target !== textBox();

function listen(made) {
  beforeSubmit((event) => made.send(event));
  window.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    // A table or a page that is copied has a picture of itself beside its text.
    if (!files.length || elsewhere(event.target) || event.clipboardData.getData("text/plain")) return;
    event.preventDefault();
    made.add(files);
  }, true);
  const carries = (event) => event.dataTransfer?.types.includes("Files") && !document.querySelector("dialog[open]");
  for (const name of ["dragenter", "dragover"]) {
    window.addEventListener(name, (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      made.hint.hidden = false;
    }, true);
  }
  window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) made.hint.hidden = true; }, true);
  window.addEventListener("drop", (event) => {
    made.hint.hidden = true;
    if (!carries(event)) return;
    event.preventDefault();
    event.stopPropagation();
    made.add([...event.dataTransfer.files]);
  }, true);
  // What stands in the box, and which model is picked, is Gradio's to change, and tells nobody.
  setInterval(() => { made.takeBack(); made.warn(); }, 300);
  onChange(["childList"], () => { made.place(); showPictures(); watchEdits(); });
  return made;
}
