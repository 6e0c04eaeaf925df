// The thumbs that are pressed: kept with the conversation, by the place of the reply in it. Gradio forgets them whenever a
// message is drawn, but for those it is told of: one for each reply, all that stands between two questions being one.
import { press } from "../dom.js";
import { onPress } from "../gradio_bridge.js";

const THUMBS = "hfchat-thumbs";
let thumbs = [];

// `rated` is by place in the whole conversation, of which so many messages before these are not shown.
export function showThumbs(messages, rated, earlier) {
  const begins = [...messages.keys()].filter((place) => messages[place].role === "assistant" && messages[place - 1]?.role !== "assistant");
  const wanted = begins.map((place) => ({ true: "Like", false: "Dislike" })[rated?.[earlier + place]] ?? null);
  while (wanted.at(-1) === null) wanted.pop();
  if (JSON.stringify(wanted) === JSON.stringify(thumbs)) return;
  thumbs = wanted;
  press(THUMBS);
}

onPress(THUMBS, { instead: () => [{ __type__: "update", feedback_value: thumbs }] });
