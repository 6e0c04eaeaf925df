// Temperature and top P: a slider beside Gradio's field of the number, and a way back to the empty field, which is the model's
// default. Gradio's own slider knows no empty value.
import { button, each, element, type } from "./dom.js";
import { says } from "./language.js";

const RANGES = { "hfchat-temperature": [0, 2, 0.1], "hfchat-top-p": [0.05, 1, 0.05] };
const FIELDS = Object.keys(RANGES).map((id) => `#${id} input[type=number]`).join();
// Where the slider stands while there is no number: the usual default of models.
const USUAL = 1;

function addSlider(field) {
  const block = field.closest(".block[id]"), [min, max, step] = RANGES[block.id];
  if (block.querySelector("input[type=range]")) return;
  // Gradio remembers the number when its field is left.
  const set = (value) => { type(field, value); field.dispatchEvent(new FocusEvent("blur")); };
  const slider = element("input", { type: "range", min, max, step, "aria-label": field.getAttribute("aria-label"),
    oninput: () => type(field, slider.value), onchange: () => set(slider.value) });
  const back = button(says.models_default, () => { set(""); field.focus(); }, { class: "hfchat-default" });
  function show() {
    slider.value = field.value === "" ? USUAL : field.value;
    slider.classList.toggle("unset", field.value === "");
    if (field.value === "") slider.setAttribute("aria-valuetext", says.models_default); else slider.removeAttribute("aria-valuetext");
    back.disabled = field.value === "";
  }
  Object.assign(field, { min, max });
  field.placeholder = "–";
  field.addEventListener("input", show);
  // What the server sets, as when the settings are opened or reset, comes without an event.
  const { get, set: write } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
  Object.defineProperty(field, "value", { configurable: true, get, set(value) { write.call(this, value); show(); } });
  field.after(slider, back);
  show();
}

each(FIELDS, addSlider);
