// The tray above the box: pictures and files that go with the next question, added by a button, by pasting, or by dropping them.
import { BOX, beforeSubmit, busy, each, element, filePicker, iconButton, submit, textBox, type } from "../dom.js";
import { requests } from "../gradio_bridge.js";
import { fill, pictureSays } from "../language.js";
import { PICTURE, pictureFrom, pictureItem, pictures, showPictures } from "./pictures.js";
import { decoded, FILE, fileItem, isLong, isPdf, pastedLines, readPdf, sentBytes, textOfFile, tokensOf } from "./texts.js";
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
    this.warning = element("p", { role: "status" });
    this.box = element("div", { id: "hfchat-tray" }, this.list, this.said, this.warning);
    this.file = filePicker((files) => this.add(files), { multiple: true, id: "hfchat-picture-files", "aria-label": says.add });
    this.button = iconButton("clip", says.add, () => this.file.click(), { id: "hfchat-add-pictures" });
    this.hint = element("div", { id: "hfchat-drop", hidden: true }, says.drop);
    document.body.append(this.hint, this.file);
  }

  // The button comes after the text area: a label, as this is in, names the first it has.
  place(area) {
    area.closest("label").before(this.box);
    area.after(this.button);
  }

  say(text) { this.said.textContent = text; }

  // What is known of the picked model, before it is asked.
  warn() {
    const picker = document.getElementById("hfchat-model"), blind = this.pictures.length && picker?.classList.contains("hfchat-no-pictures");
    const sentence = blind ? fill(this.says.blind, { model: picker.querySelector("input").value }) : "";
    const text = [sentence, this.#tooLong(picker)].filter(Boolean).join(" ");
    if (this.warning.textContent !== text) this.warning.textContent = text;
  }

  get pictures() { return this.items.filter(({ file }) => !file); }
  get files() { return this.items.filter(({ file }) => file); }

  // Whether the files fit into what the model reads, and what is left of the budget; of that, about twice as many tokens are
  // reserved as a text has, until the reply has come.
  #tooLong(picker) {
    const tokens = this.files.reduce((sum, item) => sum + (item.tokens ??= tokensOf(textOfFile(item.data))), 0);
    if (!tokens) return "";
    const [, limit] = /hfchat-context-(\d+)/.exec(picker?.className) ?? [];
    if (limit && tokens > limit) return fill(this.says.over_context, { tokens, limit: Number(limit), model: picker.querySelector("input")?.value ?? "" });
    const left = document.querySelector("#hfchat-left [data-tokens]")?.dataset.tokens;
    return left !== undefined && tokens * 2 > left ? fill(this.says.over_budget, { tokens, left: Number(left) }) : "";
  }

  // One after the other, also after one that failed. `take` returns what is to be said of it.
  #enqueue(take) {
    this.#working += 1;
    this.say("");
    const done = this.#work.then(async () => this.say(await take())).finally(() => { this.#working -= 1; });
    this.#work = done.catch(() => {});
    return done;
  }

  // What is no picture is said, and the others are added.
  async add(files) {
    await this.#enqueue(async () => {
      const faults = [];
      for (const file of files) {
        const fault = await this.#take(file);
        if (fault) faults.push(fault);
        if ([this.#full, this.#fullOfFiles].includes(fault)) break;
      }
      return faults.join(" ");
    });
    textBox()?.focus();
    document.getElementById("hfchat-box")?.scrollIntoView({ block: "nearest" });
  }

  get #full() { return fill(this.says.many, { limit: PICTURE.atOnce }); }

  get #fullOfFiles() { return fill(this.says.many_files, { limit: FILE.atOnce }); }

  // A text that is too long for the box.
  paste(text) { this.#enqueue(() => this.#putText(fill(this.says.pasted, { count: pastedLines(text) }), text)); }

  // Gives why it was not added, or "".
  async #putText(name, text) {
    if (this.files.length >= FILE.atOnce) return this.#fullOfFiles;
    const item = await fileItem(name, text), bytes = [...this.files, item].reduce((sum, { data }) => sum + sentBytes(data), 0);
    if (bytes > FILE.sentBytes) return fill(this.says.large_together, { name, limit: FILE.sentBytes / 1e6 });
    this.#put(await pictures.keepNew(item));
    return "";
  }

  async #takeText(file, name) {
    if (file.size > Math.max(FILE.sentBytes, FILE.pdfBytes)) return fill(this.says.large, { name, limit: FILE.pdfBytes / 1e6 });
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (isPdf(bytes)) return this.#takePdf(file, name);
    const text = decoded(bytes);
    if (text === null) return fill(this.says.no_text, { name });
    return text.trim() ? this.#putText(name, text) : fill(this.says.empty, { name });
  }

  async #takePdf(file, name) {
    this.say(fill(this.says.reading, { name }));
    const { text, pages, read, fault } = await readPdf(file);
    if (fault) return fill({ locked: this.says.pdf_locked, no_text: this.says.pdf_scan }[fault] ?? this.says.pdf_unreadable, { name });
    return (await this.#putText(name, text)) || (read < pages ? fill(this.says.pdf_part, { name, read, pages }) : "");
  }

  async #take(file) {
    const name = plainName(file.name, this.says.unnamed);
    if (!file.type.startsWith("image/")) return this.#takeText(file, name).catch(() => fill(this.says.no_text, { name }));
    if (this.pictures.length >= PICTURE.atOnce) return this.#full;
    if (file.size > PICTURE.fileMB * 1e6) return fill(this.says.large, { name, limit: PICTURE.fileMB });
    try {
      this.#put(await pictures.keepNew(await pictureFrom(file, this.says.unnamed)));
      return "";
    } catch { return fill(this.says.no_picture, { name }); }
  }

  #put(picture) {
    if (!this.items.some(({ id }) => id === picture.id)) this.items.push(picture);
    this.draw();
  }

  draw() {
    this.list.replaceChildren(...this.items.map((item) => pictureItem(item, () => this.remove(item), (text) => this.putBack(item, text))));
    this.warn();
  }

  remove(item) {
    this.items = this.items.filter((other) => other !== item);
    this.say("");
    this.draw();
    pictures.forget(item.id);
    textBox()?.focus();
  }

  putBack(item, text) {
    const area = textBox();
    this.remove(item);
    type(area, [area.value, text].filter(Boolean).join("\n\n"));
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
    for (const { id, name, file } of found) {
      const data = await pictures.get(id);
      if (data) this.#put({ id, name, data, file });
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
  tray = listen(new Tray(pictureSays));
  store.dropPictures(person).catch(() => {});
}

const elsewhere = (target) => target.matches?.("input, textarea, [contenteditable]") && target !== textBox();

function listen(made) {
  beforeSubmit((event) => made.send(event));
  window.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])], text = event.clipboardData?.getData("text/plain") ?? "";
    if (isLong(text) && event.target === textBox()) {
      event.preventDefault();
      event.stopPropagation();
      made.paste(text);
      return;
    }
    // A table or a page that is copied has a picture of itself beside its text.
    if (!files.length || elsewhere(event.target) || text) return;
    event.preventDefault();
    made.add(files);
  }, true);
  const carries = (event) => event.dataTransfer?.types.includes("Files") && !document.querySelector("dialog[open]");
  window.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    made.hint.hidden = false;
  }, true);
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
  each(BOX, (area) => made.place(area)); // Gradio may draw it anew
  showPictures();
  return made;
}
