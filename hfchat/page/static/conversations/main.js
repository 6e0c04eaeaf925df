// Ties the parts together: what Gradio's events call, what the panel's buttons do, other tabs, signing out.
import { ask, CHAT, element, onChange, pause, press, textBox, whenThere } from "../dom.js";
import { onEvent, onPress, requests } from "../gradio_bridge.js";
import { fill, historySays as says, says as pageSays } from "../language.js";
import { endLine, line } from "../line.js";
import { pictures } from "../pictures/pictures.js";
import { picturesOf, withoutReferences } from "../pictures/references.js";
import { beginPictures, typedText } from "../pictures/tray.js";
import { beginPreviousQuestions } from "../previous_questions.js";
import { asJson, asMarkdown, freshOf, fromJson, holds, MOST } from "./files.js";
import { messagesFrom, textOf } from "./messages.js";
import { Panel } from "./panel.js";
import { askToPersist, keptHere } from "./storage_permission.js";
import { openStore } from "./store.js";
import { Tab } from "./tab.js";

let store, person, panel, tab, tabs, wanted = null;

const SETTINGS = "hfchat-settings";

const tell = (news) => tabs?.postMessage({ person, ...news });

// All that this tab's conversation has, what is not shown too.
const messages = () => (tab ? [...tab.earlier, ...tab.shown] : []);
export const conversationAsMarkdown = () => asMarkdown([{ title: says.untitled, updated: Date.now(), ...tab?.conversation, messages: messages() }], says);
beginPreviousQuestions(() => messages().filter(({ role }) => role === "user").map((message) => withoutReferences(textOf(message)).trim()).filter(Boolean));

async function showKept() { panel.note.replaceChildren(says[await keptHere()]); }

async function list() {
  panel.heads = await store.heads(person);
  panel.current = tab.conversation.id ?? "";
  panel.draw();
}

// Here and in the person's other tabs.
async function listAnew() {
  await list();
  tell({ news: "changed" });
}

const does = {
  // One after the other; of several that are pressed meanwhile the last.
  async open(id) {
    if (!panel.wide.matches) panel.show(false);
    const waits = wanted !== null;
    wanted = id;
    if (waits) return;
    panel.aside.setAttribute("aria-busy", "true");
    panel.say("");
    for (let opened = null; opened !== wanted;) {
      opened = wanted;
      if ((opened !== tab.conversation.id || !opened) && !(await tab.open(opened))) line(says.not_opened);
    }
    wanted = null;
    panel.aside.removeAttribute("aria-busy");
    await list();
    textBox()?.focus();
  },
  async rename(id, title) {
    await store.rename(person, id, title);
    if (id === tab.conversation.id) Object.assign(tab.conversation, { title, named: true });
    await listAnew();
  },
  async remove(head) {
    const conversation = await store.conversation(person, head.id), open = head.id === tab.conversation.id;
    const seen = conversation ? await pictures.all(picturesOf(conversation)) : [];
    await remove([head.id]);
    panel.search.focus();
    panel.say(fill(says.deleted, { title: head.title }), conversation && (async () => {
      await store.add([conversation], seen);
      panel.say("");
      if (open) await does.open(head.id);
      await listAnew();
    }));
  },
  async removeAll() {
    const chosen = await ask(fill(says.delete_all_ask, { count: panel.heads.length }), "", { delete: says.delete_all, "": says.cancel });
    if (chosen !== "delete") return;
    await remove((await store.heads(person)).map(({ id }) => id));
    panel.say(says.deleted_all);
  },
  async find(words) {
    return new Set((await store.conversations(person)).filter((conversation) => holds(conversation, words)).map(({ id }) => id));
  },
  async export(form, id) {
    const all = await store.conversations(person), chosen = all.filter((conversation) => !id || conversation.id === id);
    chosen.sort((one, other) => other.updated - one.updated);
    const name = `hfchat-${new Date().toISOString().slice(0, 10)}`;
    const seen = async () => Object.fromEntries((await pictures.all(picturesOf(...chosen))).map(({ id, data }) => [id, data]));
    if (form === "json") download(`${name}.json`, "application/json", asJson(chosen, await seen()));
    else download(`${name}.md`, "text/markdown", asMarkdown(chosen, says));
  },
  async import(file) {
    if (file.size > MOST.fileMB * 1e6) return panel.say(fill(says.big_file, { limit: MOST.fileMB }));
    let found;
    try { found = fromJson(await file.text(), person, says); } catch { return panel.say(says.bad_file); }
    const fresh = freshOf(found.conversations, await store.conversations(person));
    try {
      await store.add(fresh, found.pictures);
    } catch { return panel.say(says.full); }
    await listAnew();
    return panel.say(fill(says.imported, { count: fresh.length, skipped: found.conversations.length - fresh.length }));
  },
};

function download(name, type, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function remove(ids) {
  await store.remove(person, ids);
  if (!ids.includes(tab.conversation.id)) tab.saveAgain(); // there may be room now
  tell({ news: "removed", ids });
  await tab.forget(ids);
  await list();
}

async function changed(what) {
  if (["full", "not_saved", "copied"].includes(what)) line(says[what]);
  else if (what === "opened") line(tab.earlier.length ? says.earlier : "");
  else endLine(says.full, says.not_saved);
  if (what === "saved" && store.keeps) askToPersist().then(showKept);
  await listAnew();
}

async function begin(whose) {
  person = whose;
  store = await openStore();
  panel = new Panel(says, does);
  if (store.keeps) showKept(); else panel.note.replaceChildren(says.not_kept);
  tab = new Tab(store, person, { ...says, retry: pageSays.acts.retry, continue: pageSays.continue }, changed);
  listen();
  beginPictures(store, person);
  tell({ news: "here" });
  await list();
  await tab.begin();
}

onPress("hfchat-person", { after: ([whose]) => whose && begin(whose) });
onPress("hfchat-read", { instead: ([history]) => tab?.read(history) });
onPress("hfchat-open", {
  before: () => [tab.giving.messages],
  after: ([history]) => tab.giving.answered(history && messagesFrom(history)),
});
whenThere("#hfchat-person", (button) => button.click());
onChange(["childList", "characterData"], (changes) => {
  const chat = tab && document.querySelector(CHAT);
  if (chat && changes.some(({ target }) => chat.contains(target))) tab.changed();
});

// Which reply is rated is told by its place alone.
onEvent("like", { before: (body) => {
  const { index, liked } = body.event_data;
  return { ...body, event_data: { index, liked, value: null, previous_value: tab?.rate(index, liked) ?? null } };
} });
for (const event of ["retry", "undo"]) onEvent(event, { after: () => tab?.unrate() });
onEvent("edit", { after: (body) => tab?.unrate(body.event_data?.index) });

function listen() {
  try { tabs = new BroadcastChannel("hfchat"); } catch { return; }
  tabs.onmessage = async ({ data }) => {
    // Somebody else has signed in here: what this tab shows is not theirs.
    if (data.news === "here" && data.person !== person) { tab.close(); location.reload(); }
    if (data.person !== person) return;
    if (data.news === "leaving") tab.close();
    if (data.news === "gone") location.replace("login");
    if (data.news === "removed") await tab.forget(data.ids);
    if (["changed", "removed"].includes(data.news)) await list();
  };
}

// The settings of the chat are one record for all who use this browser, which Gradio writes; what is this person's goes.
async function forgetSettings() {
  const kept = localStorage.getItem(SETTINGS);
  if (kept === null) return;
  const began = Date.now();
  press("hfchat-reset");
  for (let tries = 0; tries < 40; tries += 1) {
    await pause(50);
    if (localStorage.getItem(SETTINGS) !== kept) return;
    // Nothing of this person's was in it.
    if (requests.ended >= began && !requests.open && Date.now() - requests.ended > 400) return;
  }
  localStorage.removeItem(SETTINGS);
}

// Signing out leaves nothing of a person that is not meant to stay.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("#hfchat-who form")) return;
  event.preventDefault();
  // The page's policy lets no form be sent: a model could write one.
  if (!tab) return leave();
  const count = store.keeps ? (await store.heads(person)).length : 0;
  const answers = { delete: says.sign_out_delete, keep: says.sign_out_keep, export: says.sign_out_export, "": says.cancel };
  let chosen = count ? "" : "delete";
  do {
    if (chosen === "export") await does.export("json");
    if (count) chosen = await ask(fill(says.sign_out_ask, { count }), says.sign_out_why, answers);
  } while (chosen === "export");
  if (!chosen) return;
  tab.close();
  tell({ news: "leaving" });
  if (chosen === "delete") {
    await pause(100);
    await store.removeAll(person);
    await forgetSettings();
  }
  await leave();
}, true);

async function leave() {
  await fetch("logout", { method: "POST", redirect: "manual" });
  tell({ news: "gone" });
  location.assign("login");
}

// Before the page goes, what it shows is kept to the last word.
for (const leaving of ["beforeunload", "pagehide"]) window.addEventListener(leaving, () => tab?.leave(typedText()));
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
