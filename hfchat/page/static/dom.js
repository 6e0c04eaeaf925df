// Elements of the page: ours as they are made, Gradio's as they are found, and the one observer of what changes.
import { says } from "./language.js";

const ICONS = {
  panel: "M4 6h16M4 12h16M4 18h16",
  add: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  dots: "M6 12h.01M12 12h.01M18 12h.01",
  clip: "M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7L9.5 17a1.7 1.7 0 0 1-2.4-2.4l7.6-7.6",
};
export const CHAT = "#hfchat-conversation", BOX = "#hfchat-box textarea";
const SUBMIT = "#hfchat-box .submit-button";

// The buttons that Gradio puts under a message, and above the conversation, by what they do, as accessibility.js marks them.
export const act = (name) => `button[data-act="${name}"]`;

// A key that an input method takes: its Enter chooses a word. Some browsers say so by the number alone.
export const composing = (event) => event.isComposing || event.keyCode === 229;

// On a phone or a tablet Enter begins a line, and the button sends: there is no other key for a line.
export const touch = () => matchMedia("(pointer: coarse)").matches;
const sends = (event) => !event.shiftKey && !composing(event) && (!touch() || event.ctrlKey || event.metaKey);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export const button = (text, onclick, attributes = {}) => element("button", { type: "button", onclick, ...attributes }, text);

// A file input: `take` gets the files, also where the same ones are chosen again.
export function filePicker(take, attributes) {
  const picker = element("input", { type: "file", hidden: true, ...attributes, onchange: () => { take([...picker.files]); picker.value = ""; } });
  return picker;
}

export function icon(name) {
  const [drawn, path] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  drawn.setAttribute("viewBox", "0 0 24 24");
  drawn.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  drawn.append(path);
  return drawn;
}

// A button with an icon, and words that are read out and shown on hover.
export const iconButton = (name, words, onclick, attributes = {}) =>
  button(icon(name), onclick, { "aria-label": words, title: words, ...attributes });

// A modal dialog, gone when it closes; the browser puts the focus back.
export function openDialog(attributes, ...children) {
  const dialog = element("dialog", { ...attributes, onclose: () => dialog.remove() }, ...children);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// A dialog with something to read, and a button below that closes it.
export function openReader(label, ...children) {
  const close = button(says.close, () => dialog.close(), { class: "hfchat-close" });
  const dialog = openDialog({ class: "hfchat-dialog", "aria-label": label }, ...children, close);
  return dialog;
}

// A question with its answers. Gives the chosen one's key; "" where it is closed without one.
export function ask(text, why, answers) {
  return new Promise((resolve) => {
    const buttons = Object.entries(answers).map(([key, words]) => button(words, () => dialog.close(key)));
    const dialog = openDialog({ class: "hfchat-ask", "aria-label": text }, element("p", {}, element("strong", {}, text)),
      ...(why ? [element("p", {}, why)] : []), ...buttons);
    dialog.addEventListener("close", () => resolve(dialog.returnValue));
  });
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const press = (id) => document.getElementById(id)?.click();
export const textBox = () => document.querySelector(BOX);
export const submit = () => document.querySelector(SUBMIT)?.click();

// Gradio hears of what stands in a field by its `input` event only.
export function type(field, text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

// Whether a turn is in progress.
export const busy = () => document.getElementById("hfchat-turn")?.disabled ?? false;

// There while a reply comes. A reply may have a button of its own that is called the same.
export function stopButton() {
  const found = document.querySelector("#hfchat-box button.stop-button");
  return found?.checkVisibility() ? found : null;
}

// Calls back where the stop button is pressed, with the event, before Gradio hears of it.
export function onStop(listener) {
  window.addEventListener("click", (event) => { if (stopButton()?.contains(event.target)) listener(event); }, true);
}

// Calls back where Enter is pressed in the box, with whether it sends what is written.
export function onEnter(listener) {
  // Some keyboards of phones name the key in the second only.
  for (const name of ["keydown", "keypress"]) {
    window.addEventListener(name, (event) => {
      if (event.key === "Enter" && event.target.matches?.(BOX)) listener(event, sends(event));
    }, true);
  }
}

// Calls back before Gradio hears that the question is to be sent.
export function beforeSubmit(listener) {
  onEnter((event, sent) => { if (sent) listener(event); });
  window.addEventListener("click", (event) => { if (event.target.closest?.(SUBMIT)) listener(event); }, true);
}

const listeners = new Set();
let observer = null;

function dispatch(changes) {
  for (const { kinds, listener } of [...listeners]) {
    const seen = changes.filter(({ type }) => kinds.includes(type));
    try { if (seen.length) listener(seen); } catch (failure) { reportError(failure); }
  }
}

// Calls back with what changes anywhere in the page, of these kinds: "childList", "characterData", "attributes". Gives what
// ends it. One observer: each of its own would be called at each piece of a reply.
export function onChange(kinds, listener) {
  if (!observer) {
    observer = new MutationObserver(dispatch);
    const attributeFilter = ["aria-label", "disabled", "lang", "title"];
    observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter });
  }
  const entry = { kinds, listener };
  listeners.add(entry);
  return () => listeners.delete(entry);
}

// The elements among what was added that match.
export function* added(changes, selector) {
  for (const { addedNodes } of changes) {
    for (const node of addedNodes) {
      if (!(node instanceof Element)) continue;
      if (node.matches(selector)) yield node;
      yield* node.querySelectorAll(selector);
    }
  }
}

// Calls back with each element that matches: those that are there, and those that come.
export function each(selector, callback) {
  document.querySelectorAll(selector).forEach(callback);
  onChange(["childList"], (changes) => { for (const match of added(changes, selector)) callback(match); });
}

// Calls back once, when there is such an element.
export function whenThere(selector, callback) {
  const look = () => {
    const found = document.querySelector(selector);
    if (found) { end(); callback(found); }
  };
  const end = onChange(["childList"], look);
  look();
}
