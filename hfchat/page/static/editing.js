// A question that is edited: its field has a name and the focus, Escape leaves it, Ctrl+Enter sends it, and nothing is sent
// where nothing is in it. What is taken back stands in the box, and the focus with it.
(() => {
  const { says } = window.hfchat, FIELD = ".edit-textarea";
  const named = (name, inside) => inside?.querySelector(`button[aria-label="${name}"]`);
  const fields = () => [...document.querySelectorAll(FIELD)];
  const boxWhenGone = (button, tries) => {
    if (!button.isConnected) document.querySelector("#hfchat-box textarea")?.focus();
    else if (tries) setTimeout(boxWhenGone, 50, button, tries - 1);
  };
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches?.(FIELD) || event.isComposing) return;
    const sends = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (!sends && event.key !== "Escape") return;
    event.preventDefault();
    named(sends ? says.submit : says.cancel, document.getElementById("hfchat-conversation"))?.click();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#hfchat-conversation .message-buttons button");
    const label = button?.getAttribute("aria-label");
    if (label === says.submit && fields().every((field) => !field.value.trim())) {
      event.stopPropagation();
      fields()[0]?.focus();
    }
    if (label === says.undo) boxWhenGone(button, 100);
    const place = button?.closest(".message-buttons");
    if (label === says.cancel) setTimeout(() => named(says.edit, place)?.focus());
  }, true);
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) {
        const field = node instanceof Element && (node.matches(FIELD) ? node : node.querySelector(FIELD));
        if (!field) continue;
        field.setAttribute("aria-label", says.edit_question);
        field.focus();
        setTimeout(() => field.setSelectionRange(field.value.length, field.value.length));
      }
    }
  }).observe(document, { subtree: true, childList: true });
})();
