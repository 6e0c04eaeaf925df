// The tray above the box: pictures that go with the next question, added by a button, by pasting, or by dropping them.

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
    this.button = button(this.#icon(), () => this.file.click(), { id: "hfchat-add-pictures", "aria-label": says.add, title: says.add });
    this.hint = element("div", { id: "hfchat-drop", hidden: true }, says.drop);
    document.body.append(this.hint, this.file);
  }

  #icon() {
    const drawn = icon("panel");
    drawn.firstChild.setAttribute("d", "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01");
    return drawn;
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
    const text = blind ? this.says.blind.replace("{model}", picker.querySelector("input").value) : "";
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

  get #full() { return this.says.many.replace("{limit}", PICTURE.atOnce); }

  async #take(file) {
    const name = plainName(file.name, this.says.unnamed);
    if (this.items.length >= PICTURE.atOnce) return this.#full;
    if (file.size > PICTURE.fileMB * 1e6) return this.says.large.replace("{name}", name).replace("{limit}", PICTURE.fileMB);
    try {
      const picture = await pictureFrom(file, this.says.unnamed);
      await pictures.keep(picture);
      this.#put(picture);
      return "";
    } catch { return this.says.no_picture.replace("{name}", name); }
  }

  #put(picture) {
    if (!this.items.some(({ id }) => id === picture.id)) this.items.push(picture);
    this.draw();
  }

  draw() {
    this.list.replaceChildren(...this.items.map((item) => {
      const name = this.says.remove.replace("{name}", item.name);
      return element("li", {}, element("img", { src: item.data, alt: item.name, title: item.name, draggable: "false" }),
        button(icon("close"), () => this.remove(item), { "aria-label": name, title: name }));
    }));
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
    const typed = textBox()?.value ?? "", references = this.items.map(referenceTo).join(" ");
    return references ? [typed.trimEnd(), references].filter(Boolean).join("\n\n") : typed;
  }

  // The question is about to be sent: Gradio takes the box's text a moment later. What is still being drawn is waited for.
  send(event) {
    if (this.#working) {
      event.preventDefault();
      event.stopImmediatePropagation();
      this.#work.then(() => document.querySelector("#hfchat-box .submit-button")?.click());
      return;
    }
    if (!this.items.length) return;
    askedNow = this.items.map(({ id }) => id);
    this.#sentAt = Date.now();
    // Meanwhile a conversation that had one of them too may have been deleted.
    for (const item of this.items) pictures.keep(item);
    this.#type(this.text);
    this.clear();
  }

  #type(text) {
    const area = textBox();
    area.value = text;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // References that came back into the box, with a question that was undone or not sent, become pictures in the tray again.
  async takeBack() {
    const area = textBox();
    if (!pictures || !area || window.hfchat.busy() || requests.open || Date.now() - this.#sentAt < 1000) return;
    const found = area.value.includes(HREF) ? referencesIn(area.value) : [];
    if (!found.length) return;
    askedNow = [];
    this.#type(withoutReferences(area.value).trim());
    const gone = [];
    for (const { id, name } of found) {
      const data = await pictures.get(id);
      if (data) this.#put({ id, name, data });
      else gone.push(this.says.gone.replace("{name}", name));
    }
    this.say(gone.join(" "));
  }
}

let tray = null;

function beginPictures() {
  pictures = new Pictures(store, person);
  tray ??= listenForPictures(new Tray(FACTS.pictures[window.hfchat.language]));
  tray.clear();
  tray.place();
  showPictures();
  store.dropPictures(person).catch(() => {});
}

const inBox = (target) => target === textBox();
const elsewhere = (target) => target.matches?.("input, textarea, [contenteditable]") && !inBox(target);

function listenForPictures(made) {
  // Some keyboards of phones name the key in the second only.
  for (const name of ["keydown", "keypress"]) {
    window.addEventListener(name, (event) => {
      if (inBox(event.target) && event.key === "Enter" && !event.shiftKey && !event.isComposing) made.send(event);
    }, true);
  }
  window.addEventListener("click", (event) => { if (event.target.closest?.("#hfchat-box .submit-button")) made.send(event); }, true);
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
  new MutationObserver(() => { made.place(); showPictures(); watchEdits(); }).observe(document.querySelector("gradio-app"),
    { subtree: true, childList: true });
  return made;
}
