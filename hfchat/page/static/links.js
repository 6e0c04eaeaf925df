// Where a link of a message may lead, and a message's words as HTML.
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
