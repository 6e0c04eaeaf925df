// Pictures of questions: a conversation's text has only a reference to each, and the pictures are kept beside it. What is
// added is drawn anew, smaller, before anything else is done with it: what a camera wrote into it, the place too, is gone.

const REFERENCE = new RegExp(FACTS.reference, "gu");
const SIGN = "🖼", HREF = "#hfchat-image-";
const DATA = /^data:image\/(?:jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}$/;
const PICTURE = { bytes: 400_000, fileMB: 50, atOnce: 4, chars: 1_300_000, sentChars: 3_000_000 };
// Side and quality, the next where a picture is still too large.
const TRIED = [[1024, 0.8], [1024, 0.6], [1024, 0.4], [768, 0.5], [512, 0.5], [384, 0.3]];

const referenceTo = ({ name, id }) => `[${SIGN} ${name}](${HREF}${id})`;
const referencesIn = (text) => [...text.matchAll(REFERENCE)].map(([, name, id]) => ({ name, id }));
const withNames = (text) => text.replace(REFERENCE, `${SIGN} $1`);
const withoutReferences = (text) => text.replace(REFERENCE, " ");
// The ids of the pictures that conversations refer to.
const picturesOf = (...conversations) => new Set(conversations.flatMap(({ messages }) => messages)
  .filter(({ role }) => role === "user").flatMap((message) => referencesIn(textOf(message)).map(({ id }) => id)));

// A file's name, with nothing in it that means something in a conversation's text.
const plainName = (name, unnamed) => [...name.normalize("NFC").replace(/[^\p{L}\p{M}\p{N}._\- ]/gu, " ").replace(/\s+/g, " ").trim()]
  .slice(0, 60).join("").trim() || unnamed;

const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, 32);

// By what is in it, so that the same is kept once; only pages that came by https, or from this machine, can say that.
const idOf = async (blob) => hex(await (crypto.subtle?.digest("SHA-256", await blob.arrayBuffer()) ?? crypto.getRandomValues(new Uint8Array(16))));

const asData = (blob) => new Promise((resolve, reject) => {
  const reader = Object.assign(new FileReader(), { onload: () => resolve(reader.result), onerror: () => reject(reader.error) });
  reader.readAsDataURL(blob);
});

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
async function pictureFrom(file, unnamed) {
  const opened = await createImageBitmap(file);
  try {
    for (const [side, quality] of TRIED) {
      const blob = await drawn(opened, side, quality);
      if (blob && blob.size <= PICTURE.bytes) {
        return { id: await idOf(blob), name: plainName(file.name, unnamed), data: await asData(blob) };
      }
    }
    throw new Error("size");
  } finally { opened.close(); }
}

// What an exported file has of pictures, by id: those that the conversations refer to.
const picturesFrom = (given, conversations) => {
  const wanted = picturesOf(...conversations);
  return Object.entries(given ?? {}).filter(([id, data]) => wanted.has(id) && typeof data === "string"
    && data.length <= PICTURE.chars && DATA.test(data)).map(([id, data]) => ({ id, data }));
};

// The pictures of the person who is here: in this page's memory once they were looked at.
class Pictures {
  #held = new Map();

  constructor(store, person) { Object.assign(this, { store, person }); }

  async get(id) {
    if (!this.#held.has(id)) {
      const data = await this.store.picture(this.person, id).catch(() => null);
      if (data) this.#held.set(id, data);
    }
    return this.#held.get(id);
  }

  // Where the browser has no room that is said, and it stays in memory: it can be sent all the same.
  async keep({ id, data }) {
    this.#held.set(id, data);
    try {
      await this.store.addPictures(this.person, [{ id, data }]);
    } catch (failure) { line(FACTS.says[window.hfchat.language][failure?.name === "QuotaExceededError" ? "full" : "not_saved"]); }
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
      chars += data.length + 50;
      if (chars > PICTURE.sentChars) break;
      chosen[id] = data;
    }
    return chosen;
  }
}

// Those shown in the conversation, the newest first; what was asked this moment may not be shown yet.
let askedNow = [];
function idsShown() {
  const shown = [...document.querySelectorAll(`#hfchat-conversation .user a[href^="${HREF}"]`)].reverse();
  return [...askedNow, ...shown.map((link) => link.getAttribute("href").slice(HREF.length))];
}

// A request that asks something gets the pictures of the conversation; another is left as it is.
async function withPictures(address, body) {
  const asks = pictures && String(address).includes("/queue/join") && window.gradio_config.dependencies.find(({ id }) => id === body.fn_index);
  const place = asks ? asks.inputs.findIndex((input) => buttonOf(input) === FACTS.pictures_id) : -1;
  if (place < 0) return null;
  const chosen = await pictures.chosen(idsShown());
  askedNow = [];
  const given = Object.keys(chosen).length ? JSON.stringify(chosen) : null;
  return { ...body, data: body.data.map((value, input) => (input === place ? given : value)) };
}

let pictures = null;

// A question's references as pictures, wherever Gradio draws a message anew.
async function showIn(link) {
  const name = link.textContent.replace(SIGN, "").trim(), data = await pictures?.get(link.getAttribute("href").slice(HREF.length));
  if (pictures) link.classList.add(data ? "hfchat-picture" : "hfchat-no-picture");
  if (!data || link.querySelector("img")) return;
  link.title = FACTS.pictures[window.hfchat.language].enlarge.replace("{name}", name);
  link.replaceChildren(element("img", { src: data, alt: name, draggable: "false" }));
}

function showPictures() {
  for (const link of document.querySelectorAll(`#hfchat-conversation .user a[href^="${HREF}"]:not(.hfchat-picture, .hfchat-no-picture)`)) showIn(link);
}

function enlarge(link) {
  const seen = link.querySelector("img"), says = FACTS.pictures[window.hfchat.language];
  if (!seen) return;
  const box = element("dialog", { class: "hfchat-dialog hfchat-large", "aria-label": seen.alt }, element("img", { src: seen.src, alt: seen.alt }),
    button(says.close, () => box.close(), { class: "hfchat-close" }));
  box.addEventListener("click", ({ target }) => { if (target === box) box.close(); });
  box.addEventListener("close", () => { box.remove(); link.focus(); });
  document.body.append(box);
  box.showModal();
}

// What Gradio copies is a message as it is kept.
const copyText = navigator.clipboard?.writeText.bind(navigator.clipboard);
if (copyText) navigator.clipboard.writeText = (text) => copyText(withNames(text));

document.addEventListener("click", (event) => {
  const link = event.target.closest?.(`#hfchat-conversation .user a[href^="${HREF}"]`);
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  enlarge(link);
}, true);
