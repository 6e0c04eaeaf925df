// The chat page's scripts, in the order in which they begin: all of them before Gradio's own, which comes after in the document.
import "./storage.js";
import "./language.js";
import "./clipboard.js";
import "./stream_slots.js";
import "./turn.js"; // hears of keys and clicks before the others
import "./actions.js";
import "./accessibility.js";
import "./model_picker.js";
import "./editing.js";
import "./scrolling.js";
import "./sliders.js";
import "./stopped.js";
import "./pictures/edit.js";
import "./conversations/main.js";
import { connected } from "./connection.js";
import * as diagrams from "./diagrams.js";
import * as fences from "./fences.js";
import * as formulas from "./formulas.js";
import { bridged } from "./gradio_bridge.js";
import * as rawHtml from "./raw_html.js";
import * as replies from "./replies.js";
import { beginTheme } from "./theme.js";

// The one place where the page's requests are changed and their answers read.
const send = window.fetch;
window.fetch = (...request) => bridged(request, (...changed) => connected(() => send(...changed)));

beginTheme();

// What Gradio's renderer of messages calls, where page/renderer.py has put it in.
window.hfchat = { diagrams, fences, formulas, rawHtml, replies };
