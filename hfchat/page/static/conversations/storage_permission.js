// The browser is asked once to keep what it has of this page, and says whether it will. Nothing is asked before there is something
// to keep: some browsers ask the person.
let asked = false;

// Safari, and every browser of an iPhone, deletes what a page has written after seven days of use in which nobody opened the page:
// https://webkit.org/blog/10218/full-third-party-cookie-blocking-and-more/
export const deletesAfterSevenDays = (agent) => /AppleWebKit/.test(agent) && !/Chrome\/|Chromium\/|Edg\/|Android/.test(agent);

// Which sentence says how long conversations are kept here. A private window looks the same as any other.
export function keptSentence(persisted, agent) {
  if (persisted) return "kept_here";
  return deletesAfterSevenDays(agent) ? "kept_seven_days" : "kept_until_full";
}

export async function keptHere() {
  const persisted = await navigator.storage?.persisted?.().catch(() => false);
  return keptSentence(persisted, navigator.userAgent);
}

export async function askToPersist() {
  if (asked || !navigator.storage?.persist) return;
  asked = true;
  if (!(await navigator.storage.persisted())) await navigator.storage.persist().catch(() => false);
}
