// Turn in progress: meanwhile the next question can be written, not sent, and nothing is done to the turn but that it is
// stopped. When it has ended, the focus that Gradio took away comes back, and what is left of a person's limits is asked for.
import { beforeSubmit, busy, CHAT, onChange, onEnter, press, stopButton, submit, textBox } from "./dom.js";
import { onPress } from "./gradio_bridge.js";

let wasBusy = false, replied = false, next = null;

// Where the reply is all there and only its end is not yet, it is done a moment later.
function notNow(event, act) {
  if (!busy() && !stopButton()) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  next = replied && !stopButton() ? act : null;
}

// Gradio would send what is written at any Enter without Shift.
onEnter((event, sent) => { if (!sent) event.stopImmediatePropagation(); });
beforeSubmit((event) => notNow(event, submit));
// Gradio lets some of these begin a second turn beside the first.
window.addEventListener("click", (event) => {
  const button = event.target.closest?.(`${CHAT} .hfchat-change`);
  if (button) notNow(event, () => button.click());
}, true);

onChange(["childList", "attributes"], () => {
  const ended = wasBusy && !busy();
  wasBusy = busy();
  document.documentElement.classList.toggle("hfchat-busy", wasBusy);
  if (ended) {
    press("hfchat-turn-ended");
    if (document.activeElement === document.body) textBox()?.focus();
    next?.();
    next = null;
  }
  replied = wasBusy && (replied || Boolean(stopButton()));
});

onPress("hfchat-turn-ended", { after: ([left, low]) => {
  if (left === undefined) return;
  document.getElementById("hfchat-left").innerHTML = left;
  document.getElementById("hfchat-low").innerHTML = low;
} });
