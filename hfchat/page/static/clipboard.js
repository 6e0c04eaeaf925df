// Copying. Where the page came by plain http a browser has no clipboard to offer: then the one that Gradio's buttons find, and
// ours, is made of what browsers could do before. What a button copies is what was written, without a change.

// Puts a text into the clipboard by a field that is selected for a moment. Raises: an error where the browser does not.
function copyField(text) {
  const field = document.createElement("textarea"), focused = document.activeElement;
  Object.assign(field, { value: text, readOnly: true });
  field.style.cssText = "position: fixed; top: 0; opacity: 0";
  // What is outside of a dialog that is open cannot be selected.
  ([...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body).append(field);
  const exact = (event) => { event.clipboardData.setData("text/plain", text); event.preventDefault(); event.stopImmediatePropagation(); };
  window.addEventListener("copy", exact, { capture: true });
  try {
    field.select();
    if (!document.execCommand("copy")) throw new Error("copy");
  } finally {
    window.removeEventListener("copy", exact, { capture: true });
    field.remove();
    focused?.focus({ preventScroll: true });
  }
}

if (!navigator.clipboard) Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => copyField(text) } });

// Raises: an error where nothing was copied.
export async function copy(text) {
  try { await navigator.clipboard.writeText(text); } catch { copyField(text); }
}

// Gradio copies a block of code as it looks, without the spaces that it begins with.
window.addEventListener("click", async (event) => {
  const button = event.target.closest?.(".copy_code_button"), code = button?.parentElement.querySelector("code");
  if (!code) return;
  event.stopImmediatePropagation();
  await copy(code.textContent.replace(/\n$/, ""));
  const done = button.querySelector(".check");
  done.style.opacity = 1;
  setTimeout(() => { done.style.opacity = 0; }, 2000);
}, true);
