// The picker of the model by keyboard, and a name that is longer than its picker: it stands below it, as far as it needs lines.
import { each, element, onChange } from "./dom.js";

// Gradio opens a picker's list at any key, a moment later: at the Tab that leaves it too, and then it stays open.
document.addEventListener("keydown", (event) => {
  if (event.key === "Tab" && event.target.matches?.("[role=combobox]")) event.stopPropagation();
}, true);

// Gradio lets go of the focus when a model is chosen. By keyboard it stays, and Gradio hears of it when it is used again:
// it would open the list at once.
let unheard = null, byKey = false;

function heard({ target }) {
  if (target !== unheard) return;
  unheard = null;
  target.dispatchEvent(new FocusEvent("focus"));
}

document.addEventListener("keydown", (event) => {
  byKey = true;
  if (!["Tab", "Shift", "Escape"].includes(event.key)) heard(event);
}, true);
document.addEventListener("pointerdown", (event) => { byKey = false; heard(event); }, true);
document.addEventListener("focusout", () => { unheard = null; });
each("[role=combobox]", (input) => {
  input.blur = () => {
    if (!byKey) return HTMLElement.prototype.blur.call(input);
    unheard = input;
    return input.dispatchEvent(new FocusEvent("blur"));
  };
});

const below = element("div", { id: "hfchat-model-whole", hidden: true, "aria-hidden": "true" });
let fitted = "";

function fit() {
  const input = document.querySelector("#hfchat-model input");
  if (!input || input === document.activeElement) return;
  const state = `${input.value} ${innerWidth}`;
  if (state === fitted && below.isConnected) return;
  fitted = state;
  if (!below.isConnected) document.getElementById("hfchat-model").append(below);
  below.textContent = input.value;
  below.hidden = input.scrollWidth <= input.clientWidth;
}

window.addEventListener("resize", fit);
document.addEventListener("focusout", () => setTimeout(fit));
onChange(["childList", "attributes"], fit);
