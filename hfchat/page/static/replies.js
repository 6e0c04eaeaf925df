// What a message may be on the page. Gradio's Markdown renderer calls these, where page/renderer.py has put them in: for the
// raw HTML in a message, its links and its pictures. HTML is shown as it was written, but for a few tags without attributes.
// What the page says itself has buttons; it is known by its metadata, which no reply can write, and by a random mark from here.
import { constants } from "./constants.js";
import { drawable } from "./diagrams.js";
import { newId } from "./hex.js";
import { address, escaped, withoutTags } from "./links.js";

const SHOWN = new Set(("b i u s em strong del ins sub sup br hr kbd mark small q abbr var samp code p ul ol li dl dt dd blockquote "
  + "details summary table caption thead tbody tfoot tr th td ruby rt rp").split(" "));
const MARKED = ` data-own="${newId()}"`;
// The page's own elements, as page/notices.py writes them.
const OWN_TAGS = [
  /^<button class="hfchat-do hfchat-do-(?:retry|another_model|choose_settings|see_left|shorter|own_credit)">$/,
  /^<a class="hfchat-do" href="(?:\/login(?:\/huggingface)?|https:\/\/(?:huggingface\.co|hf\.co)\/[^"]*)"(?: target="_blank" rel="noreferrer")?>$/,
  /^<div class="hfchat-facts">$/,
  /^<span class="hfchat-instead">$/,
];
const TAG = /<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:[\s/][^<>]*)?)>|[<>]/g;
const PICTURE = /^data:image\/(?:png|jpe?g|gif|webp|avif|bmp|svg\+xml)[;,]/i;

// The text of a message as the renderer gets it.
export function text({ content, metadata }) {
  if (typeof content !== "string" || !constants.own_ids.includes(metadata?.id)) return content;
  return content.replace(/<(button|a|div|span)(?= class="hfchat-)/g, `<$1${MARKED}`);
}

// Raw HTML of a message, as HTML that is safe to show. `open` counts the page's own elements that have not ended.
export function html(raw, block, open) {
  let asText = false;
  const made = raw.replace(TAG, (tag, slash, name = "") => {
    const known = name.toLowerCase();
    if (!slash && tag.includes(MARKED)) {
      const own = tag.replace(MARKED, "");
      if (OWN_TAGS.some((pattern) => pattern.test(own))) {
        open.set(name, (open.get(name) ?? 0) + 1);
        return own;
      }
    }
    if (slash && open.get(name)) {
      open.set(name, open.get(name) - 1);
      return tag;
    }
    if (SHOWN.has(known)) return `<${slash}${known}>`;
    asText = true;
    return withoutTags(tag.replace(MARKED, ""));
  });
  return block && asText ? `<p>${made.trim().replaceAll("\n", "<br>")}</p>\n` : made;
}

// A question's picture, which pictures.js shows in its place; in a reply it leads nowhere.
const REFERENCE = /^#hfchat-image-[0-9a-f]{32}$/;

export function link(href, title, words) {
  if (REFERENCE.test(href)) return `<a href="${href}">${words}</a>`;
  const safe = address(href);
  if (safe === null) return words;
  const hint = title ? ` title="${withoutTags(title)}"` : "";
  return `<a href="${escaped(safe)}"${hint} target="_blank" rel="noopener noreferrer">${words}</a>`;
}

export function image(href, title, words) {
  if (PICTURE.test(href)) return `<img src="${escaped(href)}" alt="${withoutTags(words)}">`;
  return link(href, title, withoutTags(words) || "🖼");
}

// Gradio's renderer of a message, with these rules in it.
export function parser(marked) {
  const open = new Map(), plainCode = (words) => `<pre><code>${escaped(words)}\n</code></pre>\n`;
  const mermaid = ({ text: words }) => {
    const diagram = drawable(words);
    return diagram === null ? plainCode(words) : `<div class="mermaid">${escaped(diagram)}</div>\n`;
  };
  const renderer = {
    html: (raw, block) => html(raw, block, open),
    link,
    image,
    checkbox: (checked) => (checked ? "☑" : "☐"),
    text: (words) => words.replaceAll("<", "&lt;"), // Marked leaves it raw after `<code>`
  };
  marked.use({ renderer, extensions: [{ name: "mermaid", renderer: mermaid }] });
  return marked;
}
