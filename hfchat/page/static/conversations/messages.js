// Messages of a conversation: as they are kept, and what of a stranger's gets in: text and our marks, in bounded amounts.
import { constants } from "../constants.js";

const MARKS = { id: "string", parent_id: "string", title: "string", log: "string", duration: "number" };
const MOST = { messages: 5000, chars: 2_000_000, mark: 200 };

export const textMessage = (role, text) => ({ role, content: [{ type: "text", text }] });

export const textOf = (message) => message.content.map((part) => part.text).join("");

function messageFrom(given) {
  const { role, content, metadata } = given ?? {};
  if (role !== "user" && role !== "assistant") return [];
  const parts = Array.isArray(content) ? content : [content];
  const texts = parts.map((part) => (typeof part === "string" ? part : part?.text)).filter((text) => typeof text === "string");
  const message = textMessage(role, texts.join("").slice(0, MOST.chars));
  if (!textOf(message)) return [];
  const marks = Object.entries(MARKS).filter(([name, type]) => typeof metadata?.[name] === type && String(metadata[name]).length <= MOST.mark);
  if (!marks.length || role === "user") return [message];
  return [{ ...message, metadata: Object.fromEntries(marks.map(([name]) => [name, metadata[name]])) }];
}

export const messagesFrom = (given) => (Array.isArray(given) ? given.slice(-MOST.messages).flatMap(messageFrom) : []);

// Whether they end in a reply that has words: in its text, not only in what was thought.
export const holdsReply = (messages) => messages.slice(messages.findLastIndex(({ role }) => role === "user") + 1)
  .some((message) => !message.metadata?.id && !message.metadata?.title && textOf(message).trim());

// Whether they say the same, with the same marks.
export const same = (some, others) => some.length === others.length && some.every((message, place) => {
  const other = others[place];
  return message === other || (message.role === other.role && textOf(message) === textOf(other)
    && Object.keys(MARKS).every((name) => message.metadata?.[name] === other.metadata?.[name]));
});

// The place of the first message to show of a conversation that may be too long: a question.
export function firstShown(messages, most = constants.most_shown) {
  let chars = 0, first = messages.length;
  while (first > 0 && messages.length - first < most.messages) {
    chars += textOf(messages[first - 1]).length;
    if (chars > most.chars) break;
    first -= 1;
  }
  const question = messages.findIndex((message, place) => place >= first && message.role === "user");
  return first && question > 0 ? question : first;
}
