// What the page's buttons do: those in its menu, by their `data-do`, and those under an error, by their class, which replies.js
// leaves to the page's own notices. Since a notice may come from a file, none of these shows a token.
import { copy } from "./clipboard.js";
import { conversationAsMarkdown } from "./conversations/main.js";
import { act, busy, CHAT, pause, press, textBox } from "./dom.js";
import { says, speak } from "./language.js";
import { askForOwnCredit, letOwnerPay } from "./payer.js";
import { showProgram } from "./program.js";
import { choose } from "./theme.js";

function focusOn(found) {
  found?.scrollIntoView({ block: "nearest" });
  found?.focus();
}

function openSettings() {
  const button = document.querySelector("#hfchat-settings > button, #hfchat-settings .label-wrap");
  if (button && !button.classList.contains("open")) button.click();
  focusOn(button);
}

// Gradio's own button that does this, under the last message.
const last = (name) => [...document.querySelectorAll(`${CHAT} ${act(name)}`)].at(-1);

// Gradio knows of a turn's end only a moment after its last word is shown; what is pressed before goes wrong.
const whenFree = async (does) => { while (busy()) await pause(50); does(); };

const inNotices = {
  retry: () => whenFree(() => last("retry")?.click()),
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
  continue: () => whenFree(() => press("hfchat-continue")),
  own_credit: () => askForOwnCredit(inNotices.retry),
  shorter: () => whenFree(() => { if (last("undo")) last("undo").click(); else focusOn(textBox()); }),
};
// Says for a moment, in the place of its words, that a button has done it.
async function copied(button) {
  const words = button.textContent;
  if (words === says.copied) return;
  button.textContent = says.copied;
  await pause(2000);
  button.textContent = words;
}

const inMenu = {
  ...inNotices,
  language: (button) => {
    speak(button.dataset.language);
    location.reload();
  },
  program: showProgram,
  theme: (button) => choose(button.dataset.theme),
  copy_conversation: async (button) => { await copy(conversationAsMarkdown()); await copied(button); },
  print: (button) => { button.closest("details").open = false; window.print(); },
  own_credit: () => askForOwnCredit(),
  owner_credit: letOwnerPay,
};

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-do], button.hfchat-do"), inNotice = button?.closest(".message");
  const name = button && (inNotice ? /hfchat-do-(\w+)/.exec(button.className)?.[1] : button.dataset.do);
  const does = inNotice ? inNotices : inMenu;
  if (name && Object.hasOwn(does, name)) does[name](button);
  // A menu closes when something else is clicked, and not when a script presses a button of its own.
  const menu = document.querySelector(".hfchat-menu[open]");
  if (menu && event.isTrusted && !menu.contains(event.target)) menu.open = false;
  if (event.target.closest?.(".example")) setTimeout(() => focusOn(textBox()), 300);
});
// An empty conversation is neither copied nor printed. `toggle` does not bubble.
document.addEventListener("toggle", ({ target }) => {
  if (!target.matches?.(".hfchat-menu")) return;
  const empty = !document.querySelector(`${CHAT} .message`);
  for (const button of target.querySelectorAll("[data-do=copy_conversation], [data-do=print]")) button.disabled = empty;
}, true);

// The settings close as a menu does: by a click elsewhere, or by Escape, which in a list of choices closes the list.
const settings = () => document.querySelector("#hfchat-settings > .label-wrap.open");
document.addEventListener("pointerdown", ({ target, isTrusted }) => {
  if (isTrusted && !target.closest?.("#hfchat-settings, .hfchat-do, dialog")) settings()?.click();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.target.ariaExpanded === "true") return;
  const open = settings();
  if (open?.parentElement.contains(event.target)) { open.click(); open.focus(); }
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector(".hfchat-menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
