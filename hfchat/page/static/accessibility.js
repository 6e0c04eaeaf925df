// Names for what Gradio names by a mark, in English only, or not at all, and stops of the Tab key where something scrolls.
import { constants } from "./constants.js";
import { added, BOX, CHAT, onChange, touch } from "./dom.js";
import { language, says } from "./language.js";

// Our own line says it, in the visitor's language.
const LOST = "Connection to the server was lost. Attempting reconnection...";
const NAMED = "[aria-label], [title], .examples, .submit-button, .stop-button, .label-wrap, .toast-body, textarea, [role=listbox], .message [id^=hfchat], .message > [dir]";
// The thumbs under a reply that are pressed: Gradio's names for these are no translations.
const RATED = { Liked: "like", Disliked: "dislike" };
// What changes the conversation that is shown.
const CHANGES = ["retry", "undo", "edit", "submit"];

// The buttons that page/gradio_translations.py has Gradio name by a mark: the mark becomes `data-act`, and the name comes in the
// page's language.
function nameAct(found, label) {
  const isPressed = Object.hasOwn(RATED, label);
  const name = isPressed ? RATED[label] : label?.startsWith(constants.act_mark) && label.slice(constants.act_mark.length);
  if (!name) return label;
  found.dataset.act = name;
  found.classList.toggle("hfchat-change", CHANGES.includes(name));
  if (name.endsWith("like")) found.setAttribute("aria-pressed", isPressed);
  if (isPressed) return label;
  found.title = says.acts[name];
  found.setAttribute("aria-label", says.acts[name]);
  return says.acts[name];
}

function name(found) {
  const label = nameAct(found, found.getAttribute("aria-label"));
  // Gradio reads each message out a second time, as it is written, under a name in English.
  if (/^((bot|user)'s message|Select example \d+): /.test(label)) found.removeAttribute("aria-label");
  if (found.matches(".submit-button, .stop-button")) {
    const words = found.matches(".stop-button") ? says.stop : says.send;
    if (label !== words) found.setAttribute("aria-label", words);
  }
  if (found.matches(".toast-body") && found.textContent.includes(LOST)) found.style.display = "none";
  if (found.matches(".label-wrap")) {
    found.setAttribute("aria-expanded", found.classList.contains("open"));
    const words = found.firstElementChild.textContent;
    if (found.title !== words) found.title = words; // it may be shown as an icon
  }
  if (label && Object.hasOwn(says.labels, label)) found.setAttribute("aria-label", says.labels[label]);
  // Each text is written from the side that its own words begin at.
  if (found.matches("textarea, .message > [dir=ltr]")) found.dir = "auto";
  if (found.matches(BOX)) found.enterKeyHint = touch() ? "enter" : "send";
  // A list has list items; what stands in this one are buttons.
  if (found.matches('.examples[role="list"]')) found.setAttribute("role", "group");
  // A list that scrolls is a stop of the Tab key of its own in Chromium, and gone when it would get the focus.
  if (found.matches("[role=listbox]")) found.tabIndex = -1;
  // A button within a button, which does the same: the title of what was thought.
  if (found.matches(".title[role=button] button")) found.inert = true;
  if (found.title && Object.hasOwn(says.labels, found.title)) found.title = says.labels[found.title];
  // A reply does not pass for a part of the page: not by HTML in it, nor by a heading, which is named by its words.
  if (found.matches(".message [id^=hfchat]")) found.removeAttribute("id");
}

// What scrolls sideways in a reply is a stop of the Tab key, in every browser, once nothing is added any more.
let resting = 0;
function reach() {
  clearTimeout(resting);
  resting = setTimeout(() => {
    for (const found of document.querySelectorAll(`${CHAT} :is(pre, table)`)) {
      if (found.scrollWidth > found.clientWidth) found.tabIndex = 0; else found.removeAttribute("tabindex");
    }
  }, 300);
}

window.addEventListener("resize", reach);
document.addEventListener("click", ({ target }) => {
  const fold = target.closest?.(".label-wrap");
  if (fold) setTimeout(name, 0, fold);
});
const root = document.documentElement;
onChange(["childList", "attributes"], (changes) => {
  reach();
  if (root.lang !== language) root.lang = language; // Gradio writes that of its words
  for (const { target, type } of changes) if (type === "attributes") name(target);
  for (const found of added(changes, NAMED)) name(found);
});
