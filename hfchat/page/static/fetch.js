// Fetch wrapper: the one place where the page's requests are changed and their answers read.
import { connected } from "./connection.js";
import { bridged } from "./gradio_bridge.js";

const send = window.fetch;
window.fetch = (...request) => bridged(request, (...changed) => connected(() => send(...changed)));
