// What the page's buttons do: those in its menu, by their `data-do`, and those under an error, by their class, which replies.js
// leaves to the page's own notices. Since a notice may come from a file, none of these shows a token. And names for what
// Gradio names in English only.
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
  const last = (label) => [...document.querySelectorAll(`#hfchat-conversation button[aria-label="${label}"]`)].at(-1);
  // Gradio knows of a turn's end only a moment after its last word is shown; what is pressed before goes wrong.
  const whenFree = (act) => {
    if (!window.hfchat.busy()) return act();
    const waits = setInterval(() => { if (!window.hfchat.busy()) { clearInterval(waits); act(); } }, 50);
  };
  const acts = {
    // Gradio's own Retry stands under the last message.
    retry: () => whenFree(() => last(says.retry)?.click()),
    another_model: () => {
      const picker = document.querySelector("#hfchat-model input");
      if (picker) focusOn(picker); else openSettings();
    },
    choose_settings: openSettings,
    see_left: () => setTimeout(() => {
      const menu = document.querySelector(".hfchat-menu");
      if (menu) menu.open = true;
      focusOn(menu?.querySelector("summary"));
    }),
    shorter: () => {
      whenFree(() => { if (last(says.undo)) last(says.undo).click(); else focusOn(box()); });
    },
    language: (button) => {
      if (box()?.value) window.hfchat.keepTyped();
      speak(button.dataset.language);
      location.reload();
    },
    program: () => window.hfchat.showProgram(),
  };
  const IN_NOTICES = ["retry", "another_model", "choose_settings", "see_left", "shorter"];
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-do], button.hfchat-do"), inNotice = button?.closest(".message");
    const act = button && (inNotice ? /hfchat-do-(\w+)/.exec(button.className)?.[1] : button.dataset.do);
    if (act && Object.hasOwn(acts, act) && (!inNotice || IN_NOTICES.includes(act))) acts[act](button);
    const fold = event.target.closest?.(".label-wrap");
    if (fold) setTimeout(() => name(fold));
    // A menu closes when something else is clicked, and not when a script presses a button of its own.
    const menu = document.querySelector(".hfchat-menu[open]");
    if (menu && event.isTrusted && !menu.contains(event.target)) menu.open = false;
    if (event.target.closest?.(".example")) setTimeout(() => focusOn(box()), 300);
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(".hfchat-menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  // Gradio opens a picker's list at any key, a moment later: at the Tab that leaves it too, and then it stays open.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab" && event.target.matches?.("[role=combobox]")) event.stopPropagation();
  }, true);
  // Gradio lets go of the focus when a model is chosen. By keyboard it stays, and Gradio hears of it when it is used again:
  // it would open the list at once.
  let chose = null, unheard = null, staying = false;
  const heard = ({ target }) => {
    if (target !== unheard) return;
    unheard = null;
    target.dispatchEvent(new FocusEvent("focus"));
  };
  document.addEventListener("keydown", (event) => {
    chose = event.key === "Enter" && event.target.matches?.("[role=combobox]") ? event.target : null;
    if (!["Tab", "Shift", "Escape"].includes(event.key)) heard(event);
  }, true);
  document.addEventListener("pointerdown", (event) => { chose = null; heard(event); }, true);
  document.addEventListener("focusout", ({ target, relatedTarget }) => {
    unheard = null;
    if (target !== chose || relatedTarget) return;
    chose = null;
    setTimeout(() => {
      if (document.activeElement !== document.body) return;
      staying = true;
      target.focus();
      staying = false;
      unheard = target;
    });
  });
  document.addEventListener("focus", (event) => { if (staying) event.stopPropagation(); }, true);
  // Gradio copies all that stands in a reply's place, what the page says under it too.
  const copy = navigator.clipboard?.writeText.bind(navigator.clipboard);
  if (copy) {
    navigator.clipboard.writeText = (text) => copy(text.replace(/\n*<div class="hfchat-facts">.*<\/div>\s*$/s, ""));
  }
  window.hfchat.showLeft = (left, low) => {
    document.getElementById("hfchat-left").innerHTML = left;
    document.getElementById("hfchat-low").innerHTML = low;
  };
  // Our own line says it, in the visitor's language.
  const LOST = "Connection to the server was lost. Attempting reconnection...";
  const NAMED = "[aria-label], [title], .examples, .submit-button, .stop-button, .label-wrap, .toast-body, [role=listbox], .message [id^=hfchat]";
  // The thumbs under a reply that are pressed, as Gradio names them and as we do.
  const RATED = ["Liked", "Disliked"].flatMap((word) => [word, says.labels[word] ?? word]);
  // What changes the conversation that is shown.
  const CHANGES = ["retry", "undo", "edit", "submit", "clear"].map((act) => says[act]);
  const name = (found) => {
    const label = found.getAttribute("aria-label");
    // Gradio reads each message out a second time, as it is written, under a name in English.
    if (/^((bot|user)'s message|Select example \d+): /.test(label)) found.removeAttribute("aria-label");
    if (found.matches(".submit-button, .stop-button")) {
      const said = found.matches(".stop-button") ? says.stop : says.send;
      if (label !== said) found.setAttribute("aria-label", said);
    }
    if (found.matches(".toast-body") && found.textContent.includes(LOST)) found.style.display = "none";
    if (found.matches(".label-wrap")) found.setAttribute("aria-expanded", found.classList.contains("open"));
    if (CHANGES.includes(label)) found.classList.add("hfchat-change");
    if (RATED.includes(label) || [says.like, says.dislike].includes(label)) {
      found.classList.add("hfchat-rate");
      found.setAttribute("aria-pressed", RATED.includes(label));
    }
    if (label && Object.hasOwn(says.labels, label)) found.setAttribute("aria-label", says.labels[label]);
    // A list has list items; what stands in this one are buttons.
    if (found.matches('.examples[role="list"]')) found.setAttribute("role", "group");
    // A list that scrolls is a stop of the Tab key of its own in Chromium, and gone when it would get the focus.
    if (found.matches("[role=listbox]")) found.tabIndex = -1;
    // A button within a button, which does the same: the title of what was thought.
    if (found.matches(".title[role=button] button")) found.inert = true;
    if (found.title && Object.hasOwn(says.labels, found.title)) found.title = says.labels[found.title];
    // A reply does not pass for a part of the page: not by HTML in it, nor by a heading, which is named by its words.
    if (found.matches(".message [id^=hfchat]")) found.removeAttribute("id");
  };
  // A name that is longer than its picker stands below it, as far as it needs lines.
  const below = Object.assign(document.createElement("div"), { id: "hfchat-model-whole", hidden: true });
  below.setAttribute("aria-hidden", "true");
  let fitted = "";
  const fit = () => {
    const input = document.querySelector("#hfchat-model input");
    if (!input || input === document.activeElement) return;
    const state = `${input.value} ${innerWidth}`;
    if (state === fitted && below.isConnected) return;
    fitted = state;
    if (!below.isConnected) document.getElementById("hfchat-model").append(below);
    below.textContent = input.value;
    below.hidden = input.scrollWidth <= input.clientWidth;
  };
  // What scrolls sideways in a reply is a stop of the Tab key, in every browser, once nothing is added any more.
  let resting = 0;
  const reach = () => {
    clearTimeout(resting);
    resting = setTimeout(() => {
      for (const found of document.querySelectorAll("#hfchat-conversation :is(pre, table)")) {
        if (found.scrollWidth > found.clientWidth) found.tabIndex = 0; else found.removeAttribute("tabindex");
      }
    }, 300);
  };
  window.addEventListener("resize", () => { fit(); reach(); });
  document.addEventListener("focusout", () => setTimeout(fit));
  new MutationObserver((changes) => {
    fit();
    reach();
    for (const { target, type, addedNodes } of changes) {
      if (type === "attributes") name(target);
      for (const node of addedNodes) {
        if (!(node instanceof Element)) continue;
        name(node);
        node.querySelectorAll(NAMED).forEach(name);
      }
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-label", "title"] });
})();
