// Who pays for a member who signed in with Hugging Face: the owner, or they themself. Their own credit is always asked for first,
// since a notice with its button may come from a file.
import { ask, press } from "./dom.js";
import { says } from "./language.js";
import { line } from "./line.js";

// Whether it is so from now on.
async function choose(payer) {
  const headers = { "X-Hfchat-Asks": "1", "Content-Type": "application/json" };
  const answer = await fetch("/payer", { method: "POST", headers, body: JSON.stringify({ payer }) }).catch(() => null);
  if (answer?.ok) press("hfchat-turn-ended"); // who pays, and what is left, is said anew
  else line(says.payer_failed);
  return Boolean(answer?.ok);
}

export async function askForOwnCredit(then = () => {}) {
  const agreed = await ask(says.own_credit, says.own_credit_ask, { yes: says.own_credit, no: says.cancel }) === "yes";
  if (agreed && await choose("self")) then();
}

export const letOwnerPay = () => choose("owner");
