// The one place where what Gradio copies is changed: it takes a message as it is kept, and all that stands in a reply's place,
// what the page says under it too.
import { withNames } from "./pictures/references.js";

const copy = navigator.clipboard?.writeText.bind(navigator.clipboard);
if (copy) {
  navigator.clipboard.writeText = (text) => copy(withNames(text).replace(/\n*<div class="hfchat-facts">.*<\/div>\s*$/s, ""));
}
