// Session expiry and lost connection. Where the session has ended, Gradio would say "Error": a line says so instead and leads
// to the sign-in page, nothing shown or typed is lost, and who signs in again in another tab goes on here. A request that is
// sent while there is no network, or the server says 503, waits for it: Gradio would say "Error" and drop it, or reload the page
// and lose the conversation. So does one that is sent too fast (429). What is refused for good is said in the server's words.
import { element, pause } from "./dom.js";
import { historySays, says } from "./language.js";
import { endLine, line } from "./line.js";

let alert = null, shown = 0;

function show(text, href) {
  shown += 1;
  alert ??= element("div", { id: "hfchat-ended", role: "alert" });
  const target = window.top === window ? "_blank" : "_self";
  alert.replaceChildren(href ? element("a", { href, target }, text) : element("span", {}, text));
  document.body.prepend(alert);
}

const hide = () => { alert?.remove(); alert = null; };
const ended = () => Boolean(alert?.querySelector("a"));
const offline = () => line(historySays.offline);
const online = () => endLine(historySays.offline);

async function whenOnline(send) {
  for (;;) {
    try {
      const answer = await send();
      online();
      return answer;
    } catch (failure) {
      if (failure.name === "AbortError") throw failure;
      if (navigator.onLine) { offline(); throw failure; }
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
    if (!ended()) show(says.session_over, "/login");
  } else if ([400, 413].includes(answer.status) && isStep) {
    const error = (await answer.clone().json().catch(() => null))?.error;
    if (error && !ended()) show(error.message);
  } else if (alert && answer.ok && before === shown && isStep) hide();
  return answer;
}

// The server ends what this tab waits for, and forgets its session. No connection is held open to tell it by its end.
window.addEventListener("pagehide", () => {
  const session_hash = window.__gradio_session_hash__;
  if (session_hash) navigator.sendBeacon("gradio_api/left", new Blob([JSON.stringify({ session_hash })], { type: "application/json" }));
});
window.addEventListener("offline", offline);
window.addEventListener("online", online);
