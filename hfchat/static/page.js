// Where the browser denies a frame its storage, Gradio's page would stay at "Loading..." for ever: it gets a short-lived one.
// Where the session has ended, it would say "Error": a line says so instead and leads to the sign-in page, nothing shown or
// typed is lost, and who signs in again in another tab goes on here. What is asked while there is no network, or the server
// says 503, waits for it: Gradio would say "Error" and drop it, or reload the page and lose the conversation. While a reply
// comes the next question can be written, not sent. And the focus that Gradio takes away comes back; what is left of a
// person's limits is asked for when a turn has ended.
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
  let typed = "", line = null, shown = 0, wasBusy = false, replied = false, next = null;
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
  window.fetch = async (...request) => {
    let before = shown, answer = await whenOnline(request);
    while (answer.status === 503 && String(answer.url).includes("/gradio_api/")) {
      if (!line) show(says.not_now);
      await new Promise((again) => setTimeout(again, 2000));
      before = shown;
      answer = await whenOnline(request);
    }
    if (answer.status === 401) showEnded();
    else if (line && answer.ok && before === shown && String(answer.url).includes("/gradio_api/")) hide();
    return answer;
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches("#hfchat-box textarea") && event.target.value.trim()) typed = event.target.value;
    // What is in the box from now on is kept when the page is left.
    if (line?.querySelector("a")) sessionStorage.removeItem(KEPT);
  });
  const busy = window.hfchat.busy = () => document.getElementById("hfchat-turn")?.disabled ?? false;
  const stoppable = () => document.querySelector("button.stop-button")?.checkVisibility() ?? false;
  // Where the reply is all there and only its end is not yet, it is done a moment later.
  const notNow = (event, act) => {
    if (!busy() && !stoppable()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    next = replied && !stoppable() ? act : null;
  };
  // Some keyboards of phones name the key in the second only.
  for (const name of ["keydown", "keypress"]) {
    window.addEventListener(name, (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches?.("#hfchat-box textarea")) return;
      notNow(event, () => document.querySelector("#hfchat-box .submit-button")?.click());
    }, true);
  }
  // Gradio lets some of these begin a second turn beside the first.
  const changes = ["retry", "undo", "edit", "submit", "clear"].map((act) => says[act]);
  window.addEventListener("click", (event) => {
    const button = event.target.closest?.("#hfchat-box .submit-button, #hfchat-conversation button");
    if (button?.matches(".submit-button") || changes.includes(button?.ariaLabel)) notNow(event, () => button.click());
  }, true);
  const look = () => {
    const box = document.querySelector("#hfchat-box textarea");
    if (!box) return;
    const ended = wasBusy && !busy();
    wasBusy = busy();
    document.documentElement.classList.toggle("hfchat-busy", wasBusy);
    if (ended) {
      document.querySelector("#hfchat-turn-ended")?.click();
      if (document.activeElement === document.body) box.focus();
      next?.();
      next = null;
    }
    replied = wasBusy && (replied || stoppable());
    const kept = !line && who() && JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    if (!kept) return;
    sessionStorage.removeItem(KEPT);
    if (kept.who !== who() || !kept.typed || box.value) return;
    box.value = kept.typed;
    box.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const watch = { subtree: true, childList: true, attributes: true, attributeFilter: ["disabled"] };
  new MutationObserver(look).observe(document, watch);
})();
