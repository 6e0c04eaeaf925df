// The list of conversations beside the chat: a panel, on a narrow screen a drawer that is closed until it is asked for.
import { button, composing, element, filePicker, icon, iconButton, whenThere } from "../dom.js";
import { fill } from "../language.js";
import { folded, MOST, plainTitle } from "./files.js";

const LISTED = 200;

export class Panel {
  heads = [];
  current = "";
  #listed = LISTED;
  #found = null;
  #opened = "";
  #renaming = false;

  // `does` are the things that its buttons do.
  constructor(says, does) {
    Object.assign(this, { says, does });
    this.wide = matchMedia("(min-width: 62rem)");
    this.toggle = button(icon("panel"), () => this.show(this.hidden), { id: "hfchat-history-toggle", "aria-controls": "hfchat-history" });
    this.fresh = iconButton("add", says.new, () => does.open(""), { id: "hfchat-history-fresh" });
    this.closing = iconButton("close", says.hide, () => this.show(false), { class: "icon" });
    this.search = element("input", { type: "search", "aria-label": says.search, placeholder: says.search, autocomplete: "off", dir: "auto", enterkeyhint: "search", oninput: () => this.#seek() });
    this.said = element("p", { class: "said", role: "status" });
    this.note = element("p", { class: "note" }, says.kept_here);
    this.list = element("ul", { "aria-label": says.conversations });
    this.more = button(says.more, () => { this.#listed += LISTED; this.draw(); });
    this.file = filePicker(([file]) => file && does.import(file), { accept: ".json,application/json" });
    this.aside = element("aside", { id: "hfchat-history", "aria-label": says.conversations, hidden: true, onkeydown: (event) => this.#key(event) },
      element("header", {}, element("h2", {}, says.conversations), this.closing),
      button(says.new, () => does.open(""), { class: "new" }),
      this.search, this.said, element("div", { class: "list" }, this.list, this.more),
      element("details", {}, element("summary", {}, says.all),
        button(says.import, () => this.file.click()), this.file,
        button(says.as_json, () => does.export("json")), button(says.as_markdown, () => does.export("markdown")),
        button(says.delete_all, () => does.removeAll())),
      this.note);
    this.shade = element("div", { id: "hfchat-history-shade", hidden: true, onclick: () => this.show(false) });
    document.body.prepend(this.aside, this.shade);
    // Gradio draws each part of the page when the script of its kind has come, in whatever order that is.
    const bar = element("div", { id: "hfchat-history-bar" }, this.toggle, this.fresh);
    whenThere("#hfchat-header", (header) => header.prepend(bar));
    this.wide.addEventListener("change", () => this.show(this.wide.matches && this.#wanted, { focus: false }));
    this.show(this.wide.matches && this.#wanted, { focus: false });
  }

  get hidden() { return this.aside.hidden; }
  get #wanted() { return localStorage.getItem("hfchat-history") !== "hidden"; }

  show(shown, { focus = true } = {}) {
    const drawer = shown && !this.wide.matches;
    this.aside.hidden = !shown;
    this.shade.hidden = !drawer;
    document.documentElement.classList.toggle("hfchat-with-history", shown && !drawer);
    document.querySelector("gradio-app")?.toggleAttribute("inert", drawer);
    const words = shown ? this.says.hide : this.says.show;
    for (const [name, value] of [["aria-expanded", shown], ["aria-label", words], ["title", words]]) this.toggle.setAttribute(name, value);
    if (focus && this.wide.matches) localStorage.setItem("hfchat-history", shown ? "shown" : "hidden");
    // Not the search in a drawer: a phone would show its keyboard.
    if (focus) (drawer ? this.closing : shown ? this.search : this.toggle).focus();
  }

  say(text, undo) {
    this.said.replaceChildren(text);
    if (undo) this.said.append(" ", button(this.says.undo, undo));
  }

  draw() {
    if (this.#renaming) return;
    const focused = this.list.contains(document.activeElement) ? document.activeElement : null, row = focused?.closest("li");
    const place = row ? [...row.querySelectorAll("button")].indexOf(focused) : -1;
    const heads = this.#found ? this.heads.filter((head) => this.#found.has(head.id)) : this.heads;
    this.list.replaceChildren(...heads.slice(0, this.#listed).map((head) => this.#row(head)));
    this.more.hidden = heads.length <= this.#listed;
    const again = place >= 0 && [...this.list.children].find((made) => made.dataset.row === row.dataset.row);
    if (again) again.querySelectorAll("button")[place]?.focus();
    if (!heads.length) this.list.append(element("li", { class: "none" }, this.#found ? this.says.no_match : this.says.none));
  }

  #row(head) {
    const open = head.id === this.#opened, { says, does } = this;
    const row = element("li", { class: head.id === this.current ? "current" : undefined, "data-row": head.id },
      button(head.title, () => does.open(head.id), { class: "title", dir: "auto", title: head.title, "aria-current": head.id === this.current && "true" }),
      button(icon("dots"), () => { this.#opened = open ? "" : head.id; this.draw(); this.#focusActions(head.id); },
        { class: "icon", "aria-expanded": String(open), "aria-label": fill(says.actions, { title: head.title }), "data-id": head.id }));
    if (!open) return row;
    row.append(element("div", { class: "actions" },
      button(says.rename, () => this.#rename(row, head)), button(says.as_json, () => does.export("json", head.id)),
      button(says.as_markdown, () => does.export("markdown", head.id)), button(says.delete, () => does.remove(head))));
    return row;
  }

  #rename(row, head) {
    const box = element("input", { "aria-label": this.says.title, value: head.title, maxlength: MOST.title, dir: "auto", enterkeyhint: "done" });
    const end = async (keep) => {
      const title = plainTitle(box.value);
      box.onblur = null;
      this.#renaming = false;
      this.#opened = "";
      if (keep && title && title !== head.title) await this.does.rename(head.id, title);
      else this.draw();
      this.#focusActions(head.id);
    };
    box.onkeydown = (event) => {
      if (!composing(event) && (event.key === "Enter" || event.key === "Escape")) { event.stopPropagation(); end(event.key === "Enter"); }
    };
    box.onblur = () => end(true);
    row.replaceChildren(box);
    this.#renaming = true;
    box.select();
  }

  #focusActions(id) { this.list.querySelector(`[data-id="${id}"]`)?.focus(); }

  #seek() {
    clearTimeout(this.seeking);
    this.seeking = setTimeout(async () => {
      const words = folded(this.search.value).split(/\s+/).filter(Boolean);
      this.#found = words.length ? await this.does.find(words) : null;
      this.#listed = LISTED;
      this.draw();
      const count = this.#found?.size;
      this.say(count ? fill(this.says.found, { count }) : "");
    }, 150);
  }

  #key(event) {
    if (event.key === "Escape" && !composing(event) && !this.wide.matches) this.show(false);
  }
}
