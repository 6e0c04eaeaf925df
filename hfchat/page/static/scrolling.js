// Scrolling: who scrolls up while a reply comes stays there; who asks something sees it. Gradio goes to the end a moment after
// each piece that came while the end was in sight: what it still means to do then is not done.
import { added, beforeSubmit, CHAT, onChange } from "./dom.js";

const MOMENT_MS = 1000, NEAR = 100; // longer than Gradio waits, and as near to the end as it calls the end
let top = 0, height = 0, held = 0, asked = false;
const isConversation = (found) => found instanceof Element && found.matches(`${CHAT} .bubble-wrap`);
const release = () => { clearTimeout(held); held = 0; };

document.addEventListener("scroll", ({ target }) => {
  if (!isConversation(target)) return;
  const up = top - target.scrollTop > Math.max(0, height - target.scrollHeight);
  ({ scrollTop: top, scrollHeight: height } = target);
  if (!up || target.offsetHeight + top > height - NEAR) return;
  release();
  // A timer of ours ends after Gradio's, however late they are. Then it looks where it is, and offers the way to the end.
  held = setTimeout(() => { held = 0; target.dispatchEvent(new Event("scroll")); }, MOMENT_MS);
}, true);
document.addEventListener("click", ({ isTrusted }) => { if (isTrusted) release(); }, true);
beforeSubmit(() => { release(); asked = true; });
onChange(["childList"], (changes) => {
  if (!asked) return;
  for (const question of added(changes, `${CHAT} .user-row`)) {
    const conversation = question.closest(".bubble-wrap");
    conversation.scrollTop = conversation.scrollHeight;
    asked = false;
  }
});
const { scrollTo } = Element.prototype;
Element.prototype.scrollTo = function (...place) { if (!held || !isConversation(this)) scrollTo.apply(this, place); };
