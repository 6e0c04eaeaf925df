// Light, dark, or as the system: chosen by hand, and kept in this browser. Gradio's own `?__theme=` goes first until something
// is chosen. head.py has what runs before the first paint.
import { each } from "./dom.js";

const KEY = "hfchat-theme", PARAMETER = "__theme", BUTTONS = "[data-theme]";
const system = matchMedia("(prefers-color-scheme: dark)"), paper = matchMedia("print");
let printing = false;

const known = (theme) => (theme === "light" || theme === "dark" ? theme : "");

// What was chosen: "light", "dark" or "system". `address` is the page's.
export const chosen = (address, kept) => known(new URL(address).searchParams.get(PARAMETER)) || known(kept) || "system";
const now = () => chosen(location.href, localStorage.getItem(KEY));

const mark = (button) => button.setAttribute("aria-pressed", button.dataset.theme === now());

// Gradio's styles go by the class of the body.
function show() {
  const theme = now(), dark = !printing && (theme === "dark" || (theme === "system" && system.matches));
  document.body.classList.toggle("dark", dark);
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  // Beside Gradio's own part of the page: what its styles say there goes by the system.
  document.body.style.background = "var(--body-background-fill)";
  document.querySelectorAll(BUTTONS).forEach(mark);
}

// Paper is white.
function print(now) {
  printing = now;
  show();
}

export function choose(theme) {
  if (known(theme)) localStorage.setItem(KEY, theme); else localStorage.removeItem(KEY);
  const address = new URL(location.href);
  address.searchParams.delete(PARAMETER);
  history.replaceState(history.state, "", address);
  show();
}

// Gradio asks this when it begins; later it goes by the system's, where it began so: ours comes after it.
export function beginTheme() {
  if (now() !== "system") document.querySelector("gradio-app").setAttribute("theme_mode", now());
  show();
  system.addEventListener("change", () => setTimeout(show));
  // Not every browser knows both.
  paper.addEventListener("change", ({ matches }) => print(matches));
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  window.addEventListener("storage", ({ key }) => { if (key === KEY) show(); });
  each(BUTTONS, mark);
}
