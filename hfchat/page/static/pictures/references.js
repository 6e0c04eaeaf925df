// How a question refers to a picture or a file, and a reply to a picture, which are kept beside the conversation; and what of these
// gets in from an exported file.
import { constants } from "../constants.js";
import { textOf } from "../conversations/messages.js";

// The server reads it too; it must mean the same to both.
const ANY = `(?:${constants.picture_reference}|${constants.file_reference})`;
const REFERENCE = new RegExp(ANY, "gu");
// With what stands between a question and its pictures.
const REFERENCES = new RegExp(`(?:\\n\\n)?${ANY}(?: ${ANY})*`, "gu");
const SIGN = "🖼", HREF = "#hfchat-image-", FILE_SIGN = "📄", FILE_HREF = "#hfchat-file-";
export const FILE_PREFIX = "data:text/plain;charset=utf-8,";
const DATA = /^data:image\/(?:jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}$/;
const MOST_CHARS = 1_300_000, MOST_FILE_CHARS = 3_000_000;

const linkIn = (place) => `#hfchat-conversation ${place} a:is([href^="${HREF}"], [href^="${FILE_HREF}"])`;
export const LINK = linkIn(""), ASKED = linkIn(".user");
export const idIn = (link) => link.getAttribute("href").slice(-32);
export const nameIn = (link) => link.textContent.replace(/🖼|📄/u, "").trim();
export const isFileLink = (link) => link.getAttribute("href").startsWith(FILE_HREF);

const itemOf = ([, name, id, fileName, fileId]) => (fileId ? { name: fileName, id: fileId, file: true } : { name, id });
const signed = ({ name, file }) => `${file ? FILE_SIGN : SIGN} ${name}`;
const hrefOf = ({ id, file }) => `${file ? FILE_HREF : HREF}${id}`;
export const referenceTo = (item) => `[${signed(item)}](${hrefOf(item)})`;
export const referencesIn = (text) => [...text.matchAll(REFERENCE)].map(itemOf);
export const withNames = (text) => text.replace(REFERENCE, (...found) => signed(itemOf(found)));
// The text, which is HTML, with a link in the place of each reference.
export const withLinks = (html) => html.replace(REFERENCE, (...found) => `<a href="${hrefOf(itemOf(found))}">${signed(itemOf(found))}</a>`);
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
  const isOne = (data) => typeof data === "string" && (data.startsWith(FILE_PREFIX) ? data.length <= MOST_FILE_CHARS : data.length <= MOST_CHARS && DATA.test(data));
  return Object.entries(given ?? {}).filter(([id, data]) => wanted.has(id) && isOne(data)).map(([id, data]) => ({ id, data }));
}
