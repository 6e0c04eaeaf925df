// While a turn is in progress the next question can be written, not sent, and nothing is done to the turn but that it is
// stopped. When it has ended, the focus that Gradio took away comes back, and what is left of a person's limits is asked for.
(() => {
  let wasBusy = false, replied = false, next = null;
  const busy = window.hfchat.busy = () => document.getElementById("hfchat-turn")?.disabled ?? false;
  // There while a reply comes. A reply may have a button of its own that is called the same.
  const stopButton = window.hfchat.stopButton = () => {
    const found = document.querySelector("#hfchat-box button.stop-button");
    return found?.checkVisibility() ? found : null;
  };
  // Where the reply is all there and only its end is not yet, it is done a moment later.
  const notNow = (event, act) => {
    if (!busy() && !stopButton()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    next = replied && !stopButton() ? act : null;
  };
  // Some keyboards of phones name the key in the second only.
  for (const name of ["keydown", "keypress"]) {
    window.addEventListener(name, (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches?.("#hfchat-box textarea")) return;
      notNow(event, () => document.querySelector("#hfchat-box .submit-button")?.click());
    }, true);
  }
  // Gradio lets some of these begin a second turn beside the first.
  window.addEventListener("click", (event) => {
    const button = event.target.closest?.("#hfchat-box .submit-button, #hfchat-conversation .hfchat-change");
    if (button) notNow(event, () => button.click());
  }, true);
  const look = () => {
    const ended = wasBusy && !busy();
    wasBusy = busy();
    document.documentElement.classList.toggle("hfchat-busy", wasBusy);
    if (ended) {
      document.getElementById("hfchat-turn-ended")?.click();
      if (document.activeElement === document.body) document.querySelector("#hfchat-box textarea")?.focus();
      next?.();
      next = null;
    }
    replied = wasBusy && (replied || Boolean(stopButton()));
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["disabled"] });
})();
