// Session expiry and lost connection. Where the session has ended, Gradio would say "Error": a line says so instead and leads
// to the sign-in page, nothing shown or typed is lost, and who signs in again in another tab goes on here. What is asked while there is no network, or the server
// says 503, waits for it: Gradio would say "Error" and drop it, or reload the page and lose the conversation. So does what is
// asked too fast (429). What is refused for good is said in the server's words.
import { BOX, element, onChange, pause, textBox, type } from "./dom.js";
import { historySays, says } from "./language.js";
import { endLine, line } from "./line.js";

const UNSENT = "hfchat-unsent";
let typed = "", alert = null, shown = 0;

function show(text, href) {
  shown += 1;
  alert ??= element("div", { id: "hfchat-ended", role: "alert" });
  const target = window.top === window ? "_blank" : "_self";
  alert.replaceChildren(href ? element("a", { href, target }, text) : element("span", {}, text));
  document.body.prepend(alert);
}

const hide = () => { alert?.remove(); alert = null; };
const ended = () => Boolean(alert?.querySelector("a"));
const who = () => document.querySelector("#hfchat-who strong")?.textContent ?? "";

// What was typed last is in the box again when the page is there again, for the same person.
export const keepTyped = () => sessionStorage.setItem(UNSENT, JSON.stringify({ who: who(), typed }));

function reached(here) {
  if (here) endLine(historySays.offline);
  else line(historySays.offline);
}

async function whenOnline(send) {
  for (;;) {
    try {
      const answer = await send();
      reached(true);
      return answer;
    } catch (failure) {
      if (failure.name === "AbortError") throw failure;
      if (navigator.onLine) { reached(false); throw failure; }
      await new Promise((again) => window.addEventListener("online", again, { once: true }));
    }
  }
}

// The answer to a request that `send` sends.
export async function connected(send) {
  let before = shown, answer = await whenOnline(send);
  const isStep = String(answer.url).includes("/gradio_api/");
  while ([429, 503].includes(answer.status) && isStep) {
    if (!alert) show(says.not_now);
    await pause(1000 * (answer.status === 429 ? Number(answer.headers.get("Retry-After")) || 2 : 2));
    before = shown;
    answer = await whenOnline(send);
  }
  if (answer.status === 401) {
    if (!ended()) { keepTyped(); show(says.session_over, "/login"); }
  } else if ([400, 413].includes(answer.status) && isStep) {
    const error = (await answer.clone().json().catch(() => null))?.error;
    if (error && !ended()) show(error.message);
  } else if (alert && answer.ok && before === shown && isStep) hide();
  return answer;
}

document.addEventListener("input", ({ target }) => {
  if (target.matches(BOX) && target.value.trim()) typed = target.value;
  // What is in the box from now on is kept when the page is left.
  if (ended()) sessionStorage.removeItem(UNSENT);
});
onChange(["childList"], () => {
  const box = textBox(), unsent = box && !alert && who() && JSON.parse(sessionStorage.getItem(UNSENT) ?? "null");
  if (!unsent) return;
  sessionStorage.removeItem(UNSENT);
  if (unsent.who === who() && unsent.typed && !box.value) type(box, unsent.typed);
});
// The server ends what this tab waits for, and forgets its session. No connection is held open to tell it by its end.
window.addEventListener("pagehide", () => {
  const session_hash = window.__gradio_session_hash__;
  if (session_hash) navigator.sendBeacon("gradio_api/left", new Blob([JSON.stringify({ session_hash })], { type: "application/json" }));
});
window.addEventListener("offline", () => reached(false));
window.addEventListener("online", () => reached(true));
