// How to use this server from a program, with the visitor's own token, which is fetched when they ask for it and kept nowhere.
import { copy } from "./clipboard.js";
import { button, element, openReader } from "./dom.js";
import { says } from "./language.js";

function code(title, text) {
  const shown = element("code", {}, text), copies = button(says.copy, async () => {
    copies.textContent = await copy(text).then(() => says.copied, () => {
      getSelection().selectAllChildren(shown);
      return says.copy_selected;
    });
  });
  return [
    element("div", { class: "hfchat-code" }, element("h3", {}, title), copies),
    element("pre", { tabindex: 0, "aria-label": title }, shown),
  ];
}

async function ownToken() {
  const answer = await fetch("/own-token", { method: "POST", headers: { "X-Hfchat-Asks": "1" } });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

function examples({ token, ends_with_session: ends }) {
  const url = location.origin;
  const curl = `curl ${url}/api/ai/chat \\
  -H 'Authorization: Bearer ${token}' \\
  -H 'Content-Type: application/json' \\
  -d '{"messages": [{"role": "user", "content": "Hello!"}]}'`;
  const python = `from openai import OpenAI

client = OpenAI(base_url="${url}/v1", api_key="${token}")
models = client.models.list()
messages = [{"role": "user", "content": "Hello!"}]
answer = client.chat.completions.create(model=models.data[0].id, messages=messages)
print(answer.choices[0].message.content)`;
  const end = ends ? [element("p", {}, says.program_ends)] : [];
  return [...end, ...code("curl", curl), ...code("Python", python), ...code(says.program_token, token)];
}

export async function showProgram() {
  const shown = await ownToken().then(examples, () => [element("p", { role: "alert" }, says.program_failed)]);
  const title = says.use_from_program;
  const dialog = openReader(title, element("h2", {}, title), element("p", {}, says.program_lead), ...shown);
  dialog.addEventListener("close", () => document.querySelector(".hfchat-menu summary")?.focus());
}
