// Scrolling: the end of a conversation stays in sight while it grows, unless somebody has scrolled up or opened something in it.
// Who asks something sees it. Gradio's own (`autoscroll`) goes to the end a moment after each piece, whatever was scrolled
// meanwhile.
import { beforeSubmit, CHAT, each } from "./dom.js";

const PLACE = `${CHAT} .bubble-wrap`;
// What makes a message larger when it is clicked: the visitor looks at that, and not at the end.
const GROWS = ".thought-group, summary, [data-act=edit]";
const NEAR = 100; // as near to the end as Gradio calls the end
let top = 0, height = 0, follows = true;

const isNear = ({ scrollTop, scrollHeight, offsetHeight }) => offsetHeight + scrollTop > scrollHeight - NEAR;

document.addEventListener("scroll", ({ target }) => {
  if (!(target instanceof Element) || !target.matches(PLACE)) return;
  const up = top - target.scrollTop > Math.max(0, height - target.scrollHeight);
  ({ scrollTop: top, scrollHeight: height } = target);
  follows = isNear(target) || (follows && !up);
}, true);
document.addEventListener("click", ({ isTrusted, target }) => {
  const place = isTrusted && target.closest(PLACE);
  if (place) follows = !target.closest(GROWS) && (follows || isNear(place));
}, true);
beforeSubmit(() => { follows = true; });
each(`${PLACE} > .message-wrap`, (messages) => {
  const place = messages.parentElement;
  follows = true; // a conversation that is opened begins at its end
  new ResizeObserver(() => { if (follows) place.scrollTop = place.scrollHeight; }).observe(messages);
});
