// How to use this server from a program, with the visitor's own token, which is fetched when they ask for it and kept nowhere.
(() => {
  const { says } = window.hfchat;
  const make = (name, text, parts = {}) => Object.assign(document.createElement(name), { textContent: text, ...parts });
  const copied = (text) => {
    const button = make("button", says.copy, { type: "button" });
    button.addEventListener("click", async () => {
      await navigator.clipboard?.writeText(text);
      button.textContent = says.copied;
    });
    return button;
  };
  const code = (title, text) => {
    const block = make("pre", "", { tabIndex: 0 });
    block.append(make("code", text));
    block.setAttribute("aria-label", title);
    const head = make("div", "", { className: "hfchat-code" });
    head.append(make("h3", title), copied(text));
    return [head, block];
  };
  const asked = async () => {
    const answer = await fetch("/own-token", { method: "POST", headers: { "X-Hfchat-Asks": "1" } });
    if (!answer.ok) throw new Error(answer.status);
    return (await answer.json()).token;
  };
  const filled = (token) => {
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
    return [...code("curl", curl), ...code("Python", python), ...code(says.program_token, token)];
  };
  window.hfchat.showProgram = async () => {
    const dialog = make("dialog", "", { className: "hfchat-dialog" });
    const title = make("h2", says.use_from_program, { id: "hfchat-dialog-title" });
    dialog.setAttribute("aria-labelledby", title.id);
    const close = make("button", says.close, { type: "button", className: "hfchat-close" });
    close.addEventListener("click", () => dialog.close());
    // What was shown is gone when it closes.
    dialog.addEventListener("close", () => {
      dialog.remove();
      document.querySelector(".hfchat-menu summary")?.focus();
    });
    dialog.append(title, make("p", says.program_lead));
    try {
      dialog.append(...filled(await asked()));
    } catch {
      dialog.append(make("p", says.program_failed, { role: "alert" }));
    }
    dialog.append(close);
    document.body.append(dialog);
    dialog.showModal();
  };
})();
