// Slots for streams. Over HTTP/1.1 a browser opens six connections to one server, for all its tabs together, and a reply holds
// one until its end. Four tabs have a reply at a time, so that two are left to load a page and to stop a reply; the next tab's
// question waits, or is never sent where it is stopped. Where the protocol has no such bound, or the browser no locks, as
// outside of HTTPS, nothing waits.
import { onStop } from "./dom.js";
import { beforeSending, onStreamEnd } from "./gradio_bridge.js";
import { says } from "./language.js";
import { endLine, line } from "./line.js";

const SLOTS = ["hfchat-stream-1", "hfchat-stream-2", "hfchat-stream-3", "hfchat-stream-4"];
const SLOW_MS = 1000; // before that, nobody wonders
let giveBack = null, stop = null;

const bounded = () => navigator.locks && performance.getEntriesByType("navigation")[0]?.nextHopProtocol === "http/1.1";

beforeSending(async (_, url) => {
  if (giveBack || !url.includes("/queue/join") || !bounded()) return null;
  const others = new AbortController(), { signal } = others, slow = setTimeout(() => line(says.tabs_busy), SLOW_MS);
  // The first that is granted is held until it is given back, and the others are not waited for any more.
  const granted = SLOTS.map((name) => new Promise((grant, refuse) => {
    const hold = () => signal.aborted ? null : new Promise((release) => {
      grant(release);
      others.abort();
    });
    navigator.locks.request(name, { signal }, hold).catch(refuse);
  }));
  stop = () => others.abort();
  // A frame that may store nothing has no locks: there nothing waits either.
  giveBack = await Promise.any(granted).catch(({ errors }) => (errors[0].name === "AbortError" ? null : () => {}));
  clearTimeout(slow);
  endLine(says.tabs_busy);
  return giveBack ? null : false;
});
onStop(() => stop?.());
onStreamEnd(() => {
  giveBack?.();
  giveBack = null;
});
