// Conversations as messages, as text to search, and as files. A file may come from anybody: of it only what is listed here
// gets in, as text, in bounded amounts.

const FORMAT = "hfchat-conversations";
const MOST = { fileMB: 200, conversations: 5000, messages: 5000, chars: 2_000_000, title: 100 };
const MARKS = { id: "string", parent_id: "string", title: "string", log: "string", duration: "number" };

const plainTitle = (text) => String(text).replace(/[\p{C}\s]+/gu, " ").trim().slice(0, MOST.title);

const textOf = (message) => message.content.map((part) => part.text).join("");

function messageFrom(given) {
  const { role, content, metadata } = given ?? {};
  if (role !== "user" && role !== "assistant") return [];
  const parts = Array.isArray(content) ? content : [content];
  const texts = parts.map((part) => (typeof part === "string" ? part : part?.text)).filter((text) => typeof text === "string");
  const text = texts.join("").slice(0, MOST.chars);
  if (!text) return [];
  const marks = Object.entries(MARKS).filter(([name, type]) => typeof metadata?.[name] === type && String(metadata[name]).length <= 200);
  const message = { role, content: [{ type: "text", text }] };
  if (!marks.length || role === "user") return [message];
  return [{ ...message, metadata: Object.fromEntries(marks.map(([name]) => [name, metadata[name]])) }];
}

const messagesFrom = (given) => (Array.isArray(given) ? given.slice(-MOST.messages).flatMap(messageFrom) : []);

// The thumbs are by place: where a message did not get in, nobody knows any more which they were.
function ratedFrom(given, count, messages) {
  if (messages.length !== count) return {};
  const goodOnes = Object.entries(given ?? {}).filter(([at, liked]) => typeof liked === "boolean" && messages[at]?.role === "assistant");
  return Object.fromEntries(goodOnes);
}

function titleOf(messages, says) {
  const asked = messages.find((message) => message.role === "user");
  const text = asked ? textOf(asked).slice(0, 2000) : "";
  const words = plainTitle(withoutReferences(text)) || plainTitle(withNames(text));
  if (words.length <= 60) return words || says.untitled;
  return `${words.slice(0, 60).replace(/\s\S{0,20}$/u, "")}…`;
}

// Without accents and capitals, so that "cancion" finds "Canción".
const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

const holds = (conversation, words) => {
  const text = folded([conversation.title, ...conversation.messages.map((message) => withoutReferences(textOf(message)))].join("\n"));
  return words.every((word) => text.includes(word));
};

function asJson(conversations, pictures) {
  const listed = conversations.map(({ id, title, named, created, updated, rated, messages }) => ({ id, title, named, created, updated, rated, messages }));
  return JSON.stringify({ format: FORMAT, version: VERSION, conversations: listed, pictures }, null, 1);
}

function asMarkdown(conversations, says) {
  const said = ({ role, content, metadata }) => {
    const text = withNames(textOf({ content })).trimEnd();
    if (metadata?.title) return `> **${metadata.title}**\n>\n${text.replace(/^/gm, "> ")}`;
    if (metadata?.id) return `> ${text.replace(/<[^>]*>/g, "").trim().replace(/\n/g, "\n> ")}`;
    return `## ${role === "user" ? says.you : says.assistant}\n\n${text}`;
  };
  const one = ({ title, updated, messages }) =>
    [`# ${title}`, new Date(updated).toISOString().slice(0, 10), ...messages.map(said)].join("\n\n");
  return `${conversations.map(one).join("\n\n---\n\n")}\n`;
}

// The conversations of an exported file, and their pictures. Raises: Error where it is none.
function fromJson(text, person, says) {
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

function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
