// Ties the parts together: what Gradio's events call, what the panel's buttons do, other tabs, signing out.

const says = FACTS.says[window.hfchat.language];
let store, person, panel, tab, tabs, wanted = null;

const SETTINGS = "hfchat-settings";

const tell = (news) => tabs?.postMessage({ person, ...news });

async function list() {
  panel.heads = await store.heads(person);
  panel.current = tab.conversation.id ?? "";
  panel.draw();
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
    await list();
    tell({ news: "changed" });
  },
  async remove(head) {
    const conversation = await store.conversation(person, head.id), open = head.id === tab.conversation.id;
    const seen = conversation ? await pictures.all(picturesOf(conversation)) : [];
    await store.remove(person, [head.id]);
    tab.saveAgain();
    tell({ news: "removed", ids: [head.id] });
    await tab.forget([head.id]);
    await list();
    panel.search.focus();
    panel.say(says.deleted.replace("{title}", head.title), conversation && (async () => {
      await store.add([conversation], seen);
      tell({ news: "changed" });
      panel.say("");
      if (open) await does.open(head.id);
      await list();
    }));
  },
  async removeAll() {
    const chosen = await ask(says.delete_all_ask.replace("{count}", panel.heads.length), "", { delete: says.delete_all, "": says.cancel });
    if (chosen !== "delete") return;
    await removeAll();
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
    if (file.size > MOST.fileMB * 1e6) return panel.say(says.big_file.replace("{limit}", MOST.fileMB));
    let found;
    try { found = fromJson(await file.text(), person, says); } catch { return panel.say(says.bad_file); }
    const kept = new Map((await store.conversations(person)).map((conversation) => [conversation.id, conversation]));
    const fresh = found.conversations.filter(({ known, messages }) => !kept.has(known) || !same(messages, messagesFrom(kept.get(known).messages)));
    try {
      await store.add(fresh.map(({ known, ...conversation }) => conversation), found.pictures);
    } catch { return panel.say(says.full); }
    await list();
    tell({ news: "changed" });
    return panel.say(says.imported.replace("{count}", fresh.length).replace("{skipped}", found.conversations.length - fresh.length));
  },
};

async function removeAll() {
  const ids = (await store.heads(person)).map(({ id }) => id);
  await store.remove(person, ids);
  tell({ news: "removed", ids });
  await tab.forget(ids);
  await list();
}

async function changed(what) {
  if (["full", "not_saved", "copied"].includes(what)) line(says[what]);
  else if (what === "opened") line(tab.earlier.length ? says.earlier : "");
  else if ([says.full, says.not_saved].includes(lineSaid.textContent)) line("");
  await list();
  tell({ news: "changed" });
}

async function begin(whose) {
  person = whose;
  store ??= await openStore();
  panel ??= new Panel(says, does);
  if (!store.keeps) panel.note.replaceChildren(says.not_kept);
  tab = new Tab(store, person, says, changed);
  listen();
  beginPictures();
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
onPress("hfchat-turn-ended", { after: ([left, low]) => left !== undefined && window.hfchat.showLeft(left, low) });
whenThere("#hfchat-person", (button) => button.click());
whenThere("#hfchat-conversation", (chat) => {
  new MutationObserver(() => tab?.changed()).observe(chat, { subtree: true, childList: true, characterData: true });
});

function listen() {
  if (tabs || !window.BroadcastChannel) return;
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
    if (count) chosen = await ask(says.sign_out_ask.replace("{count}", count), says.sign_out_why, answers);
  } while (chosen === "export");
  if (!chosen) return;
  tab.close();
  tell({ news: "leaving" });
  if (chosen === "delete") {
    await pause(100);
    await store.removeAll(person);
  }
  if (chosen === "delete") await forgetSettings();
  await leave();
}, true);

async function leave() {
  await fetch("logout", { method: "POST", redirect: "manual" });
  tell({ news: "gone" });
  location.assign("login");
}

// Before the page goes, what it shows is kept to the last word.
for (const leaving of ["beforeunload", "pagehide"]) window.addEventListener(leaving, () => tab?.leave());
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
// What has to be seen whether the list is there or not.
const lineSaid = element("span", { role: "status" });
const lineBox = element("div", { id: "hfchat-history-line", hidden: true }, lineSaid,
  button(icon("close"), () => line(""), { "aria-label": says.close, title: says.close }));
function line(text) {
  if (!lineBox.isConnected) document.body.prepend(lineBox);
  lineSaid.textContent = text;
  lineBox.hidden = !text;
}

reached.tell = (here) => {
  if (!here) line(says.offline);
  else if (lineSaid.textContent === says.offline) line("");
};
window.addEventListener("offline", () => reached.tell(false));
window.addEventListener("online", () => reached.tell(true));
