// Where a link of a message may lead, and a message's words as HTML.
import { PUNCTUATION, SIGN } from "./cjk.js";

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
export const escaped = (text) => String(text).replace(/[&<>"']/g, (sign) => ENTITIES[sign]);
export const withoutTags = (text) => String(text).replace(/[<>"']/g, (sign) => ENTITIES[sign]);

// Where a link of a message may lead, in a tab of its own: to another host, or null. Nothing here is done by a link.
export function address(href) {
  let url;
  try { url = new URL(href.replaceAll("&amp;", "&"), location.href); } catch { return null; }
  const here = url.hostname.replace(/\.$/, "") === location.hostname;
  return url.protocol === "mailto:" || (/^https?:$/.test(url.protocol) && !here) ? url.href : null;
}

// Where an address ends that is not marked as one: before punctuation of Chinese, Japanese and Korean, and before a letter of
// these that follows a Latin one, "https://example.org/aを", but not in "https://example.org/wiki/京都".
export function addressIn(text) {
  const host = /^(?:\w+:\/\/)?[^/?#]*/.exec(text)[0].length;
  let before = "", place = 0;
  for (const sign of text) {
    const joined = SIGN.test(sign) && (place < host || /[A-Za-z0-9]/.test(before));
    if (joined || PUNCTUATION.test(sign)) return text.slice(0, place);
    before = sign;
    place += sign.length;
  }
  return text;
}
