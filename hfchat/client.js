// A client for web pages: copy it into yours, and add the page's origin to HFCHAT_CORS_ORIGINS.
//
// Returns the reply to the last of `messages`, a list of `{ role: "user" | "assistant", content: "..." }`. `token` is from
// `python -m hfchat token issue`. Throws an Error with what went wrong and what to do about it.
export async function sendChatMessage(token, messages, baseUrl = "http://127.0.0.1:7860") {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const request = { method: "POST", headers, body: JSON.stringify({ messages }) };
  const answer = await fetch(`${baseUrl}/api/ai/chat`, request);
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${body.error.message} ${body.error.hint}`);
  return body.reply;
}
