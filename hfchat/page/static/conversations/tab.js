// The conversation that this tab shows: kept while it grows, and opened again.
import { constants } from "../constants.js";
import { BOX, busy, CHAT, pause, press, stopButton, type, whenThere } from "../dom.js";
import { requests } from "../gradio_bridge.js";
import { newId } from "../hex.js";
import { titleOf } from "./files.js";
import { firstShown, holdsReply, messagesFrom, same, textMessage } from "./messages.js";
import { showThumbs } from "./ratings.js";

const READ_EVERY_MS = 250, SAVE_AGAIN_MS = 20_000;
const PLACE = "hfchat-conversation", DRAFT = "hfchat-draft";

// A reply is in progress: there is a button to stop it.
const replying = () => Boolean(stopButton());

export class Tab {
  // `conversation` is what is kept of it; without an id it is kept once something is asked. `earlier` are messages of it
  // that are not shown.
  conversation = {};
  earlier = [];
  shown = [];
  giving = null;
  closed = false;
  #reading = 0;
  #again = 0;
  #opening = false;
  #leaving = false;
  #saving = Promise.resolve();

  // `onChange` is told "opened", "saved", and what may be said: "full", "not_saved", "copied".
  constructor(store, person, says, onChange) { Object.assign(this, { store, person, says, onChange }); }

  // Show what this tab showed before it was loaded anew.
  async begin() {
    const [place, draft] = [PLACE, DRAFT].map((name) => JSON.parse(sessionStorage.getItem(name) ?? "null"));
    sessionStorage.removeItem(DRAFT);
    if (draft?.person === this.person) {
      whenThere(BOX, (box) => {
        if (!box.value && !this.closed) type(box, draft.typed);
      });
    }
    if (document.querySelector(`${CHAT} .message`)) this.changed();
    else if (place?.person === this.person && place.id) await this.open(place.id);
  }

  // The page is about to go, with this in the box.
  leave(typed) {
    if (this.closed) return;
    if (typed) sessionStorage.setItem(DRAFT, JSON.stringify({ person: this.person, typed }));
    this.#leaving = true;
    press("hfchat-read");
  }

  // What the chat shows has changed.
  changed() {
    this.#reading ||= setTimeout(() => { this.#reading = 0; press("hfchat-read"); }, READ_EVERY_MS);
  }

  // What the chat shows now.
  read(history) {
    const messages = messagesFrom(history).filter((message) => message.metadata?.id !== constants.wait_id);
    if (this.giving) {
      if (this.giving.expected && same(messages, this.giving.expected)) this.giving.seen(true);
      return;
    }
    if (this.closed) return;
    const unfinished = replying();
    if (unfinished) this.changed();
    if (same(messages, this.shown) && unfinished === Boolean(this.conversation.unfinished)) return;
    this.shown = messages;
    this.#showThumbs();
    const undone = requests.emptied === "undo";
    if (messages.length || (undone && this.earlier.length)) this.#save(unfinished);
    else if (undone) this.#takeBack();
    else this.#start({});
  }

  // A thumb was pressed under the reply that is shown in this place, or withdrawn. Gives what was pressed there before.
  rate(place, liked) {
    const { conversation } = this, at = this.earlier.length + place, before = conversation.rated?.[at];
    conversation.rated = { ...conversation.rated, [at]: liked };
    if (typeof liked !== "boolean") delete conversation.rated[at];
    this.#showThumbs();
    if (!this.closed && this.shown.length) this.#save(replying(), conversation.updated);
    return before;
  }

  #showThumbs() { showThumbs(this.shown, this.conversation.rated, this.earlier.length); }

  // What stands from this place on, or else the last turn, goes: so do the thumbs under it.
  unrate(place = this.shown.findLastIndex(({ role }) => role === "user")) {
    const first = this.earlier.length + place, rated = Object.entries(this.conversation.rated ?? {});
    const stay = rated.filter(([at]) => at < first);
    if (stay.length === rated.length) return;
    this.conversation.rated = Object.fromEntries(stay);
    this.#showThumbs();
    // The reply that comes may say the same.
    if (!this.closed) this.#save(replying(), this.conversation.updated);
  }

  // From here on the chat shows this conversation; where it was cleared, none: what was kept of it stays.
  #start(conversation, earlier = []) {
    Object.assign(this, { conversation, earlier });
    this.#mark();
    this.onChange("opened");
  }

  // Its only turn was taken back: nothing of it is left.
  async #takeBack() {
    const { id } = this.conversation;
    this.#start({});
    await this.#saving;
    if (!id) return;
    // Its pictures are in the tray again, with its words in the box.
    await this.store.remove(this.person, [id], { pictures: false });
    this.onChange("saved");
  }

  #mark() { sessionStorage.setItem(PLACE, JSON.stringify({ person: this.person, id: this.conversation.id })); }

  #save(unfinished, updated = Date.now()) {
    const { conversation, person, says } = this, messages = [...this.earlier, ...this.shown];
    clearTimeout(this.#again);
    conversation.id ??= newId();
    conversation.created ??= updated;
    conversation.unfinished = unfinished;
    if (!conversation.named) conversation.title = titleOf(messages, says);
    const atOnce = this.#leaving;
    const save = async () => {
      const { id } = conversation;
      try {
        const head = await this.store.save({ ...conversation, person, updated, messages }, { atOnce });
        Object.assign(conversation, head, { unfinished: conversation.unfinished, rated: conversation.rated });
        if (this.conversation === conversation) this.#mark();
        this.onChange(head.id === id ? "saved" : "copied");
      } catch (failure) {
        this.#again = setTimeout(() => this.saveAgain(), SAVE_AGAIN_MS);
        this.onChange(failure?.name === "QuotaExceededError" ? "full" : "not_saved");
      }
    };
    this.#saving = atOnce ? save() : this.#saving.then(save);
  }

  // Try once more to keep what could not be kept.
  saveAgain() {
    if (this.#again && this.shown.length && !this.closed) this.#save(replying());
  }

  // Show a kept conversation; without an id, a new one. Gives whether it is shown.
  async open(id) {
    if (this.#opening) return false;
    this.#opening = true;
    try {
      if (!(await this.#settled())) return false;
      press("hfchat-read");
      await pause(0);
      await this.#saving;
      return await this.#show(id);
    } finally { this.#opening = false; }
  }

  async #show(id) {
    const kept = id ? await this.store.conversation(this.person, id) : {};
    if (!kept) return false;
    const { messages = [], ...conversation } = kept, first = firstShown(messages), shown = messages.slice(first);
    const { retry, continue: goOn } = this.says;
    if (conversation.unfinished && shown.at(-1)?.metadata?.id !== constants.notice_id) {
      const acts = { ...(holdsReply(shown) && { continue: goOn }), retry };
      const buttons = Object.entries(acts).map(([act, words]) => `<button class="hfchat-do hfchat-do-${act}">${words}</button>`);
      const text = `${this.says.interrupted}\n\n${buttons.join(" ")}`;
      shown.push({ ...textMessage("assistant", text), metadata: { id: constants.notice_id } });
    }
    // First nothing: Gradio would leave a thumb that was pressed under the message in the same place.
    if (this.shown.length && shown.length && !(await this.#give([]))) return false;
    showThumbs(shown, conversation.rated, first);
    if (!(await this.#give(shown))) return false;
    this.#start({ ...conversation, unfinished: false }, messages.slice(0, first));
    return true;
  }

  // Have the chat show these messages, and see that it does: until then what it shows is another conversation's.
  async #give(messages) {
    const expected = await new Promise((answered) => {
      this.giving = { messages, answered };
      press("hfchat-open");
    });
    let seen = false;
    for (let tries = 0; expected && !seen && tries < 100; tries += 1) {
      seen = await new Promise((resolve) => {
        Object.assign(this.giving, { expected, seen: resolve });
        press("hfchat-read");
        setTimeout(resolve, 50, false);
      });
    }
    this.giving = null;
    if (seen) this.shown = expected;
    return seen;
  }

  // A reply in progress is stopped, as by its button: what came of it is kept. Not while it is only asked for, or already
  // at its end: Gradio would stumble.
  async #settled() {
    for (let tries = 0; tries < 200; tries += 1) {
      const still = !requests.open && Date.now() - requests.ended > 100;
      if (still && !replying()) return true;
      if (still && busy() && tries % 20 === 10) stopButton().click();
      await pause(50);
    }
    return false;
  }

  // It was deleted: what is shown of it goes too.
  async forget(ids) {
    if (!ids.includes(this.conversation.id)) return;
    this.closed = true;
    await this.#settled();
    await this.#saving;
    await this.#show("");
    this.closed = false;
  }

  // Keep nothing more.
  close() {
    this.closed = true;
    for (const name of [PLACE, DRAFT]) sessionStorage.removeItem(name);
  }
}
