// Where the browser denies a frame its storage, Gradio's page would stay at "Loading..." for ever: it gets a short-lived one.
// Where the session has ended, it would say "Error": a line says so instead and leads to the sign-in page, nothing shown or
// typed is lost, and who signs in again in another tab goes on here. What is asked while there is no network, or the server
// says 503, waits for it: Gradio would say "Error" and drop it, or reload the page and lose the conversation. So does what is
// asked too fast (429). What is refused for good is said in the server's words.
(() => {
  for (const name of ["localStorage", "sessionStorage"]) {
    try { window[name]; } catch {
      const kept = new Map();
      Object.defineProperty(window, name, { value: {
        getItem: (key) => kept.get(String(key)) ?? null,
        setItem: (key, value) => void kept.set(String(key), String(value)),
        removeItem: (key) => void kept.delete(String(key)),
        clear: () => kept.clear(),
        key: (place) => [...kept.keys()][place] ?? null,
        get length() { return kept.size; },
      } });
    }
  }
  const KEPT = "hfchat-unsent", fetched = window.fetch;
  const says = window.hfchat.says;
  let typed = "", line = null, shown = 0;
  const show = (text, href) => {
    shown += 1;
    line ??= document.body.appendChild(document.createElement("div"));
    line.id = "hfchat-ended";
    line.setAttribute("role", "alert");
    const said = document.createElement(href ? "a" : "span");
    said.textContent = text;
    if (href) { said.href = href; said.target = window.top === window ? "_blank" : "_self"; }
    line.replaceChildren(said);
    document.body.prepend(line);
  };
  const hide = () => { line?.remove(); line = null; };
  const who = () => document.querySelector("#hfchat-who strong")?.textContent ?? "";
  const keepTyped = () => sessionStorage.setItem(KEPT, JSON.stringify({ who: who(), typed }));
  window.hfchat.keepTyped = keepTyped;
  const showEnded = () => {
    if (line?.querySelector("a")) return;
    keepTyped();
    show(says.session_over, "/login");
  };
  const whenOnline = async (request) => {
    for (;;) {
      try { return await fetched(...request); } catch (failure) {
        if (navigator.onLine || failure.name === "AbortError") throw failure;
        await new Promise((again) => window.addEventListener("online", again, { once: true }));
      }
    }
  };
  const isStep = (answer) => String(answer.url).includes("/gradio_api/");
  window.fetch = async (...request) => {
    let before = shown, answer = await whenOnline(request);
    while ([429, 503].includes(answer.status) && isStep(answer)) {
      if (!line) show(says.not_now);
      const waitS = answer.status === 429 ? Number(answer.headers.get("Retry-After")) || 2 : 2;
      await new Promise((again) => setTimeout(again, waitS * 1000));
      before = shown;
      answer = await whenOnline(request);
    }
    if (answer.status === 401) showEnded();
    else if ([400, 413].includes(answer.status) && isStep(answer)) {
      const error = (await answer.clone().json().catch(() => null))?.error;
      if (error && !line?.querySelector("a")) show(error.message);
    } else if (line && answer.ok && before === shown && isStep(answer)) hide();
    return answer;
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches("#hfchat-box textarea") && event.target.value.trim()) typed = event.target.value;
    // What is in the box from now on is kept when the page is left.
    if (line?.querySelector("a")) sessionStorage.removeItem(KEPT);
  });
  const look = () => {
    const box = document.querySelector("#hfchat-box textarea");
    if (!box) return;
    const kept = !line && who() && JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    if (!kept) return;
    sessionStorage.removeItem(KEPT);
    if (kept.who !== who() || !kept.typed || box.value) return;
    box.value = kept.typed;
    box.dispatchEvent(new Event("input", { bubbles: true }));
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true });
})();
