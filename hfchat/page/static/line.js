// A line above the page: what has to be seen whether the list of conversations is there or not.
import { element, iconButton } from "./dom.js";
import { says } from "./language.js";

const words = element("span", { role: "status" });
const bar = element("div", { id: "hfchat-history-line", hidden: true }, words, iconButton("close", says.close, () => line("")));

export function line(text) {
  if (!bar.isConnected) document.body.prepend(bar);
  words.textContent = text;
  bar.hidden = !text;
}

// Takes back what is shown, where it is one of these.
export function endLine(...texts) { if (texts.includes(words.textContent)) line(""); }
