// What is kept, and where: in IndexedDB; in memory, until the page is closed, where the browser denies that.
// A conversation is a head, for the list, and a body with its messages. Both carry the key of the person whose it is, and so do
// the pictures that the messages refer to, which are kept as long as one of them does.
import { newId } from "../hex.js";
import { picturesOf } from "../pictures/references.js";

export const VERSION = 1;
const EDITION = 2;
const TABLES = ["heads", "bodies", "pictures"];
// What was added to a question that nobody sent stays this long.
const UNSENT_MS = 86_400_000;

const answered = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

const finished = (transaction) => new Promise((resolve, reject) => {
  transaction.oncomplete = resolve;
  transaction.onabort = () => reject(transaction.error ?? new DOMException("", "AbortError"));
});

async function openBase() {
  const opening = indexedDB.open("hfchat", EDITION);
  opening.onupgradeneeded = () => {
    for (const name of TABLES) {
      if (opening.result.objectStoreNames.contains(name)) continue;
      opening.result.createObjectStore(name, { keyPath: "id" }).createIndex("person", "person");
    }
  };
  return answered(opening);
}

export async function openStore() {
  try {
    const kept = new Kept();
    await kept.open();
    return new Store(kept, true);
  } catch {
    return new Store(new Unkept(), false);
  }
}

// Both read and write a few records in one go: `step` is given the tables, and all of what it did is kept, or nothing.

class Kept {
  // The browser may close it, when its data are cleared.
  async open() {
    this.base ??= await openBase();
    this.base.onclose = this.base.onversionchange = () => { this.base?.close(); this.base = null; };
    return this.base;
  }

  async go(mode, step) {
    const transaction = (this.base ?? (await this.open())).transaction(TABLES, mode);
    const end = finished(transaction);
    const table = (name) => {
      const records = transaction.objectStore(name);
      return {
        get: (id) => answered(records.get(id)),
        all: (person) => answered(records.index("person").getAll(person)),
        put: (record) => void records.put(record),
        remove: (id) => void records.delete(id),
      };
    };
    const result = await step(...TABLES.map(table));
    // A page that is about to go does not see the transaction end by itself.
    if (mode === "readwrite") transaction.commit?.();
    await end;
    return result;
  }
}

class Unkept {
  tables = TABLES.map(() => new Map());

  go(_, step) {
    return step(...this.tables.map((records) => ({
      get: async (id) => records.get(id),
      all: async (person) => [...records.values()].filter((record) => record.person === person),
      put: (record) => void records.set(record.id, record),
      remove: (id) => void records.delete(id),
    })));
  }
}

class Store {
  constructor(place, keeps) { this.place = place; this.keeps = keeps; }

  // The newest first.
  async heads(person) {
    const all = await this.place.go("readonly", (heads) => heads.all(person));
    return all.sort((one, other) => other.updated - one.updated);
  }

  async conversation(person, id) {
    const [head, body] = await this.place.go("readonly", (heads, bodies) => Promise.all([heads.get(id), bodies.get(id)]));
    return head?.person === person && body ? { ...head, messages: body.messages } : undefined;
  }

  async conversations(person) {
    const [heads, bodies] = await this.place.go("readonly", (heads, bodies) => Promise.all([heads.all(person), bodies.all(person)]));
    const messages = new Map(bodies.map((body) => [body.id, body.messages]));
    return heads.filter((head) => messages.has(head.id)).map((head) => ({ ...head, messages: messages.get(head.id) }));
  }

  // Keep it as it is now. `edition` is the one that it grew from: where another tab has kept a later one meanwhile, both
  // stay, this one under a new id. Gives the head. `atOnce`, for a page that is about to go, looks at nothing first.
  save(conversation, { atOnce = false } = {}) {
    return this.place.go("readwrite", async (heads, bodies) => {
      const { messages, ...head } = conversation;
      const kept = atOnce || !head.edition ? undefined : await heads.get(head.id);
      if (kept && kept.edition !== head.edition) Object.assign(head, { id: newId(), created: Date.now() });
      else if (kept?.named) Object.assign(head, { title: kept.title, named: true });
      Object.assign(head, { version: VERSION, edition: newId(), count: messages.length });
      heads.put(head);
      bodies.put({ id: head.id, person: head.person, messages });
      return head;
    });
  }

  // As they are, back from a deletion or in from a file, with the pictures that they refer to.
  add(conversations, pictures = []) {
    return this.place.go("readwrite", async (heads, bodies, kept) => {
      for (const { person } of conversations.slice(0, 1)) await putPictures(kept, person, pictures);
      for (const { messages, ...head } of conversations) {
        heads.put({ version: VERSION, edition: newId(), count: messages.length, ...head });
        bodies.put({ id: head.id, person: head.person, messages });
      }
    });
  }

  rename(person, id, title) {
    return this.place.go("readwrite", async (heads) => {
      const head = await heads.get(id);
      if (head?.person === person) heads.put({ ...head, title, named: true });
    });
  }

  // With the pictures that no other conversation refers to.
  remove(person, ids, { pictures = true } = {}) {
    return this.place.go("readwrite", async (heads, bodies, kept) => {
      const all = pictures ? await bodies.all(person) : [], gone = new Set(ids);
      for (const id of ids) for (const table of [heads, bodies]) table.remove(id);
      const wanted = picturesOf(...all.filter(({ id }) => !gone.has(id)));
      for (const id of picturesOf(...all.filter(({ id }) => gone.has(id)))) if (!wanted.has(id)) kept.remove(pictureKey(person, id));
    });
  }

  removeAll(person) {
    return this.place.go("readwrite", async (...tables) => {
      for (const table of tables) for (const { id } of await table.all(person)) table.remove(id);
    });
  }

  async picture(person, id) {
    return (await this.place.go("readonly", (_, __, pictures) => pictures.get(pictureKey(person, id))))?.data;
  }

  // The item, with another id where another content has its id: an imported conversation may have brought anything under it.
  async withOwnId(person, item) {
    const there = await this.picture(person, item.id);
    return there && there !== item.data ? { ...item, id: newId(16) } : item;
  }

  addPictures(person, pictures) {
    return this.place.go("readwrite", (_, __, kept) => putPictures(kept, person, pictures));
  }

  // Those that no conversation refers to: of `ids`, or, where none are named, those that have been so for long.
  dropPictures(person, ids) {
    return this.place.go("readwrite", async (_, bodies, pictures) => {
      const wanted = picturesOf(...(await bodies.all(person)));
      const over = ids ?? (await pictures.all(person)).filter(({ added }) => added < Date.now() - UNSENT_MS).map(({ picture }) => picture);
      for (const id of over) if (!wanted.has(id)) pictures.remove(pictureKey(person, id));
    });
  }
}

const pictureKey = (person, id) => `${person}-${id}`;

// One that is there stays as it is.
async function putPictures(kept, person, pictures) {
  for (const { id, data } of pictures) {
    const key = pictureKey(person, id);
    if (!(await kept.get(key))) kept.put({ id: key, person, picture: id, data, added: Date.now() });
  }
}
