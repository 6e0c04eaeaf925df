// Pictures of questions and replies, and files of questions: a conversation's text has only a reference to each, and they are kept
// beside it, each as a data URL. A picture that is
// added is drawn anew, smaller, before anything else is done with it: what a camera wrote into it, the place too, is gone.
import { constants } from "../constants.js";
import { button, each, element, iconButton, openReader, pause } from "../dom.js";
import { beforeSending, call, idOf, stepOf } from "../gradio_bridge.js";
import { contentId, dataUrl } from "../hex.js";
import { fill, historySays, pictureSays as says } from "../language.js";
import { line } from "../line.js";
import { ASKED, FILE_PREFIX, idIn, isFileLink, LINK, nameIn, plainName } from "./references.js";
import { fitsBox, sentBytes, sizeOf, textOfFile, tokensOf } from "./texts.js";

export const PICTURE = { bytes: 400_000, fileMB: 50, atOnce: 4, sentChars: 3_200_000 };
// Side and quality, the next where a picture is still too large.
const TRIED = [[1024, 0.8], [1024, 0.6], [1024, 0.4], [768, 0.5], [512, 0.5], [384, 0.3]];

function drawn(picture, side, quality) {
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height].map((length) => Math.max(1, Math.round(length * scale)));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff"; // what is see-through would be black
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
}

// The file as a picture to send. Raises: an error where it is none that this browser can open.
export async function pictureFrom(file, unnamed) {
  const opened = await createImageBitmap(file);
  try {
    for (const [side, quality] of TRIED) {
      const blob = await drawn(opened, side, quality);
      if (blob && blob.size <= PICTURE.bytes) {
        return { id: await contentId(await blob.arrayBuffer()), name: plainName(file.name, unnamed), data: await dataUrl(blob) };
      }
    }
    throw new Error("size");
  } finally { opened.close(); }
}

// The pictures of the person who is here: in this page's memory once they were looked at.
class Pictures {
  #held = new Map();
  // Those of the question that was asked this moment, which may not be shown yet.
  asked = [];

  begin(store, person) { Object.assign(this, { store, person }); }

  async get(id) {
    if (!this.#held.has(id)) {
      const data = await this.store.picture(this.person, id).catch(() => null);
      if (data) this.#held.set(id, data);
    }
    return this.#held.get(id);
  }

  // Keep a new one, and return it with the id that it is kept under.
  async keepNew(item) {
    const own = await this.store.withOwnId(this.person, item).catch(() => item);
    await this.keep(own);
    return own;
  }

  // Where the browser has no room that is said, and it stays in memory: it can be sent all the same.
  async keep({ id, data }) {
    this.#held.set(id, data);
    try {
      await this.store.addPictures(this.person, [{ id, data }]);
    } catch (failure) { line(failure?.name === "QuotaExceededError" ? historySays.full : historySays.not_saved); }
  }

  // It goes from where nothing refers to it.
  forget(id) { return this.store.dropPictures(this.person, [id]).catch(() => {}); }

  async all(ids) {
    const found = await Promise.all([...ids].map(async (id) => ({ id, data: await this.get(id) })));
    return found.filter(({ data }) => data);
  }

  // As many of these as a request can carry, the first before the others.
  async chosen(ids) {
    const chosen = {};
    let chars = 0;
    for (const id of new Set(ids)) {
      const data = await this.get(id);
      if (!data) continue;
      chars += (data.startsWith(FILE_PREFIX) ? sentBytes(data) : data.length) + 50;
      if (chars > PICTURE.sentChars) break;
      chosen[id] = data;
    }
    return chosen;
  }
}

export const pictures = new Pictures();

// Those asked about in the conversation, the newest first.
const idsShown = () => [...document.querySelectorAll(ASKED)].reverse().map(idIn);

// A request that asks something gets the pictures of the conversation.
beforeSending(async (body, url) => {
  const asks = pictures.store && url.includes("/queue/join") && stepOf(body.fn_index);
  const place = asks ? asks.inputs.findIndex((input) => idOf(input) === constants.pictures_id) : -1;
  if (place < 0) return null;
  const chosen = await pictures.chosen([...pictures.asked, ...idsShown()]);
  pictures.asked = [];
  const given = Object.keys(chosen).length ? JSON.stringify(chosen) : null;
  return { ...body, data: body.data.map((value, input) => (input === place ? given : value)) };
});

// A picture of a reply, which the server holds for a while. It is kept like one of a question's, drawn anew, as small, and shown
// as it came.
async function receive(id, answer) {
  const { [id]: data } = await answer;
  if (!data) return undefined;
  try {
    const bytes = Uint8Array.from(atob(data.slice(data.indexOf(",") + 1)), (sign) => sign.charCodeAt(0));
    const file = new File([bytes], "", { type: data.slice(5, data.indexOf(";")) });
    await pictures.keep({ id, data: (await pictureFrom(file, "")).data });
  } catch { /* one that this browser cannot open is shown as its name */ }
  return data;
}

// By id, while they are on their way: links that are drawn together, or anew, cause one request.
const fetches = new Map();
let batch = null;

function fetched(id) {
  if (!fetches.has(id)) {
    if (!batch) {
      const ids = [];
      batch = { ids, answer: pause(0).then(() => { batch = null; return call("hfchat-fetch-pictures", ids.join(" ")); }) };
    }
    batch.ids.push(id);
    fetches.set(id, receive(id, batch.answer).finally(() => fetches.delete(id)));
  }
  return fetches.get(id);
}

const MOST_READ_CHARS = 100_000;

// What a file says, in a dialog; `putBack`, where it is given and the text is short, has it go into the box.
function readFile({ name, data }, putBack) {
  const text = textOfFile(data), words = text.length > MOST_READ_CHARS ? `${text.slice(0, MOST_READ_CHARS)}…` : text;
  const back = button(says.put_back, () => { dialog.close(); putBack(text); }, { class: "hfchat-close" });
  const dialog = openReader(name, element("h2", {}, name), element("pre", { dir: "auto" }, words), putBack && fitsBox(text) ? back : "", " ");
}

function fileChip(item, putBack) {
  const text = textOfFile(item.data), cost = fill(says.cost, { size: sizeOf(text), tokens: tokensOf(text) });
  const chip = button(`📄 ${item.name}`, () => readFile(item, putBack), { class: "hfchat-file", title: fill(says.open, item) });
  chip.append(element("small", {}, cost));
  return chip;
}

// A picture or a file that goes with a question that is written, and a button that takes it out; its name where it is gone.
export const pictureItem = ({ name, data, file, ...item }, remove, putBack) =>
  element("li", {}, !data ? name : file ? fileChip({ name, data, ...item }, putBack) : element("img", { src: data, alt: name, title: name, draggable: "false" }),
    iconButton("close", fill(says.remove, { name }), remove));

// A question's references as pictures, wherever Gradio draws a message anew.
async function showIn(link) {
  if (link.matches(".hfchat-picture, .hfchat-no-picture")) return;
  const name = nameIn(link), id = idIn(link);
  link.classList.add("hfchat-no-picture"); // until it is there
  const data = await pictures.get(id) ?? (link.closest(".bot") && await fetched(id));
  if (!data) return;
  link.classList.replace("hfchat-no-picture", "hfchat-picture");
  if (isFileLink(link)) {
    link.classList.add("hfchat-file");
    link.title = fill(says.open, { name });
    link.append(element("small", {}, sizeOf(textOfFile(data))));
    return;
  }
  link.title = fill(says.enlarge, { name });
  link.replaceChildren(element("img", { src: data, alt: name, draggable: "false" }));
}

export const showPictures = () => each(LINK, showIn);

async function openFile(link) {
  const data = await pictures.get(idIn(link));
  if (data) readFile({ name: nameIn(link), data });
}

function enlarge(link) {
  const seen = link.querySelector("img");
  if (!seen) return;
  const dialog = openReader(seen.alt, element("img", { src: seen.src, alt: seen.alt }));
  dialog.classList.add("hfchat-large");
  dialog.addEventListener("click", ({ target }) => { if (target === dialog) dialog.close(); });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.(LINK);
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  if (isFileLink(link)) openFile(link);
  else enlarge(link);
}, true);
