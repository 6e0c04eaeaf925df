// Continue, above the box, after the visitor has stopped a reply that has words: it goes on as one that was cut does.
import { busy, button, CHAT, element, onChange, onStop, textBox } from "./dom.js";
import { says } from "./language.js";

let stopped = false, row = null;
const offer = element("div", { id: "hfchat-stopped" }, button(says.continue, () => {}, { class: "hfchat-do", "data-do": "continue" }));
const lastRow = () => [...document.querySelectorAll(`${CHAT} .message-row`)].at(-1);
const holdsWords = (found) => found?.matches(".bot-row") && !found.querySelector(".hfchat-do")
  && [...found.querySelectorAll(".message:not(.thought) .message-content")].at(-1)?.textContent.trim();

// The page stops a reply itself, too, where another conversation is opened.
onStop(({ isTrusted }) => { stopped ||= isTrusted; });
onChange(["childList", "attributes"], () => {
  if (row && (busy() || lastRow() !== row)) { row = null; offer.remove(); }
  if (!stopped || busy()) return;
  stopped = false;
  row = lastRow();
  if (holdsWords(row)) textBox()?.closest("label")?.before(offer); else row = null;
});
