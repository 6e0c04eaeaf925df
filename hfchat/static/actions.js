// What the page's buttons do, by their `data-do`: those in its menu, and those under an error in the conversation. A model
// could write such a button too, so none does more than a visitor's own click would. And names for what Gradio names in
// English only.
(() => {
  const { says, speak } = window.hfchat;
  const box = () => document.querySelector("#hfchat-box textarea");
  const focusOn = (found) => {
    found?.scrollIntoView({ block: "nearest" });
    found?.focus();
  };
  const openSettings = () => {
    const button = document.querySelector("#hfchat-settings > button, #hfchat-settings .label-wrap");
    if (button && !button.classList.contains("open")) button.click();
    focusOn(button);
  };
  const acts = {
    // Gradio's own Retry stands under the last message.
    retry: () => [...document.querySelectorAll(`button[aria-label="${says.retry}"]`)].at(-1)?.click(),
    another_model: () => {
      const picker = document.querySelector("#hfchat-model input");
      if (picker) focusOn(picker); else openSettings();
    },
    choose_settings: openSettings,
    shorter: () => {
      const undo = [...document.querySelectorAll(`button[aria-label="${says.undo}"]`)].at(-1);
      if (undo) undo.click(); else focusOn(box());
    },
    language: (button) => { speak(button.dataset.language); location.reload(); },
    program: () => window.hfchat.showProgram(),
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-do]");
    if (button && Object.hasOwn(acts, button.dataset.do)) acts[button.dataset.do](button);
    // A menu closes when something else is clicked.
    const menu = document.querySelector(".hfchat-menu[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
    if (event.target.closest?.(".example")) setTimeout(() => focusOn(box()), 300);
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(".hfchat-menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  // Gradio copies all that stands in a reply's place, what the page says under it too.
  const copy = navigator.clipboard?.writeText.bind(navigator.clipboard);
  if (copy) {
    navigator.clipboard.writeText = (text) => copy(text.replace(/\n*<div class="hfchat-facts">.*<\/div>\s*$/s, ""));
  }
  const name = (found) => {
    const label = found.getAttribute("aria-label");
    // Gradio reads each message out a second time, as it is written, under a name in English.
    if (/^(bot|user)'s message: /.test(label)) found.removeAttribute("aria-label");
    if (label && Object.hasOwn(says.labels, label)) found.setAttribute("aria-label", says.labels[label]);
    if (found.title && Object.hasOwn(says.labels, found.title)) found.title = says.labels[found.title];
  };
  new MutationObserver((changes) => {
    for (const { target, type, addedNodes } of changes) {
      if (type === "attributes") name(target);
      for (const node of addedNodes) {
        if (!(node instanceof Element)) continue;
        name(node);
        node.querySelectorAll("[aria-label], [title]").forEach(name);
      }
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-label", "title"] });
})();
