// How a question, or a reply, refers to a picture, which is kept beside the conversation; and what of an exported file's pictures gets in.
import { constants } from "../constants.js";
import { textOf } from "../conversations/messages.js";

// The server reads it too; it must mean the same to both.
const REFERENCE = new RegExp(constants.picture_reference, "gu");
// With what stands between a question and its pictures.
const REFERENCES = new RegExp(`(?:\\n\\n)?${constants.picture_reference}(?: ${constants.picture_reference})*`, "gu");
const SIGN = "🖼", HREF = "#hfchat-image-";
const DATA = /^data:image\/(?:jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}$/;
const MOST_CHARS = 1_300_000;

export const LINK = `#hfchat-conversation a[href^="${HREF}"]`;
export const ASKED = `#hfchat-conversation .user a[href^="${HREF}"]`;
export const idIn = (link) => link.getAttribute("href").slice(HREF.length);
export const nameIn = (link) => link.textContent.replace(SIGN, "").trim();

export const referenceTo = ({ name, id }) => `[${SIGN} ${name}](${HREF}${id})`;
export const referencesIn = (text) => [...text.matchAll(REFERENCE)].map(([, name, id]) => ({ name, id }));
export const withNames = (text) => text.replace(REFERENCE, `${SIGN} $1`);
// The text, which is HTML, with a link in the place of each reference.
export const withLinks = (html) => html.replace(REFERENCE, (_, name, id) => `<a href="${HREF}${id}">${SIGN} ${name}</a>`);
// The text as it was typed.
export const withoutReferences = (text) => text.replace(REFERENCES, "");
// The text of a question whose pictures are these.
export const withReferences = (text, pictures) => [text, pictures.map(referenceTo).join(" ")].filter(Boolean).join("\n\n");

// The ids of the pictures that conversations refer to.
export const picturesOf = (...conversations) => new Set(conversations.flatMap(({ messages }) => messages)
  .filter(({ role, metadata }) => role === "user" || metadata?.id === constants.reply_pictures_id).flatMap((message) => referencesIn(textOf(message)).map(({ id }) => id)));

// A file's name, with nothing in it that means something in a conversation's text.
export const plainName = (name, unnamed) => [...name.normalize("NFC").replace(/[^\p{L}\p{M}\p{N}._\- ]/gu, " ").replace(/\s+/g, " ").trim()]
  .slice(0, 60).join("").trim() || unnamed;

// What an exported file has of pictures, by id: those that the conversations refer to.
export function picturesFrom(given, conversations) {
  const wanted = picturesOf(...conversations);
  return Object.entries(given ?? {}).filter(([id, data]) => wanted.has(id) && typeof data === "string"
    && data.length <= MOST_CHARS && DATA.test(data)).map(([id, data]) => ({ id, data }));
}
