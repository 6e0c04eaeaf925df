// Conversations as text to search, and as files. A file may come from anybody: of it only what is listed here gets in, as text,
// in bounded amounts.
import { newId } from "../hex.js";
import { withoutMarks } from "../plain_text.js";
import { picturesFrom, withNames, withoutReferences } from "../pictures/references.js";
import { messagesFrom, same, textOf } from "./messages.js";
import { VERSION } from "./store.js";

const FORMAT = "hfchat-conversations";
export const MOST = { fileMB: 200, conversations: 5000, title: 100 };

export const plainTitle = (text) => String(text).replace(/[\p{C}\s]+/gu, " ").trim().slice(0, MOST.title);

// The thumbs are by place: where a message did not get in, nobody knows any more which they were.
function ratedFrom(given, count, messages) {
  if (messages.length !== count) return {};
  const goodOnes = Object.entries(given ?? {}).filter(([at, liked]) => typeof liked === "boolean" && messages[at]?.role === "assistant");
  return Object.fromEntries(goodOnes);
}

export function titleOf(messages, says) {
  const asked = messages.find((message) => message.role === "user");
  const text = asked ? textOf(asked).slice(0, 2000) : "";
  const words = plainTitle(withoutMarks(withoutReferences(text))) || plainTitle(withNames(text));
  if (words.length <= 60) return words || says.untitled;
  return `${words.slice(0, 60).replace(/\s\S{0,20}$/u, "")}…`;
}

// Without accents and capitals, so that "cancion" finds "Canción".
export const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

export const holds = (conversation, words) => {
  const text = folded([conversation.title, ...conversation.messages.map((message) => withoutReferences(textOf(message)))].join("\n"));
  return words.every((word) => text.includes(word));
};

export function asJson(conversations, pictures) {
  const listed = conversations.map(({ id, title, named, created, updated, rated, messages }) => ({ id, title, named, created, updated, rated, messages }));
  return JSON.stringify({ format: FORMAT, version: VERSION, conversations: listed, pictures }, null, 1);
}

export function asMarkdown(conversations, says) {
  const said = ({ role, content, metadata }) => {
    const text = withNames(textOf({ content }));
    if (metadata?.title) return `> **${metadata.title}**\n>\n${text.replace(/^/gm, "> ")}`;
    if (metadata?.id) return `> ${text.replace(/<[^>]*>/g, "").trim().replace(/\n/g, "\n> ")}`;
    return `## ${role === "user" ? says.you : says.assistant}\n\n${text}`;
  };
  const one = ({ title, updated, messages }) =>
    [`# ${title}`, new Date(updated).toISOString().slice(0, 10), ...messages.map(said)].join("\n\n");
  return `${conversations.map(one).join("\n\n---\n\n")}\n`;
}

// The conversations of an exported file, and their pictures. Raises: Error where it is none.
export function fromJson(text, person, says) {
  const file = JSON.parse(text);
  if (file?.format !== FORMAT || !Array.isArray(file.conversations)) throw new Error("format");
  const when = (time) => (Number.isSafeInteger(time) && time > 0 && time <= Date.now() ? time : Date.now());
  const conversations = file.conversations.slice(0, MOST.conversations).flatMap((given) => {
    const messages = messagesFrom(given?.messages);
    if (!messages.length) return [];
    const title = typeof given.title === "string" ? plainTitle(given.title) : "";
    const head = { person, title: title || titleOf(messages, says), named: given.named === true };
    const known = typeof given.id === "string" && /^[0-9a-f]{24}$/.test(given.id) ? given.id : "";
    const rated = ratedFrom(given.rated, given.messages.length, messages);
    return [{ id: newId(), known, ...head, created: when(given.created), updated: when(given.updated), rated, messages }];
  });
  return { conversations, pictures: picturesFrom(file.pictures, conversations) };
}

// Of what a file has, what is not among the conversations that are kept.
export function freshOf(conversations, kept) {
  const messages = new Map(kept.map((conversation) => [conversation.id, messagesFrom(conversation.messages)]));
  const fresh = conversations.filter((given) => !same(given.messages, messages.get(given.known) ?? []));
  return fresh.map(({ known, ...conversation }) => conversation);
}
