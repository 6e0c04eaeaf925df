// What passes between Gradio and the server. A hidden button of Gradio's is the way to call the server, or to have Gradio do
// something: the page's policy forbids `js=`, which needs `eval`. The request that follows the press is found here, and so is
// what of the visitor's own acts is asked. And whether anything is under way: the box pales where a turn takes a while to begin.
//
//   press(id) > Gradio's request > before > the server > after > Gradio
//                                > instead ------------------> Gradio
import { pause, press, textBox } from "./dom.js";

export const requests = { open: 0, asking: 0, ended: 0, emptied: "" };
const presses = new Map(), calls = new Map(), events = new Map(), sends = [], streamEnds = [];

// What happens with the request of a hidden button: `before` gives the data to send, `instead` gets the data, which nobody is
// sent, and gives those of the answer, if any, `after` gets these, or nothing where there is none.
export const onPress = (button, does) => presses.set(button, does);

// The server's answer to the press of this button with this text, an object: empty where no answer came. Each call of a button
// waits for the one before.
export function call(button, text) {
  const answer = Promise.resolve(calls.get(button)).then(() => new Promise((resolve) => {
    onPress(button, { before: () => [text], after: ([json]) => resolve(JSON.parse(json || "{}")) });
    press(button);
  }));
  calls.set(button, answer);
  return answer;
}

// What happens with the request of what a visitor did: `before` gives the body to send, `after` gets it once it was answered.
export const onEvent = (event, does) => events.set(event, does);

// `change` may give another body for each step of Gradio's, from its body and its address, or false: then it is not sent, and
// Gradio gets no answer.
export const beforeSending = (change) => sends.push(change);

// `listener` is called when the stream of a turn has ended, in whatever way, or none will come.
export const onStreamEnd = (listener) => streamEnds.push(listener);
const streamEnded = () => streamEnds.forEach((listener) => listener());

export const stepOf = (id) => window.gradio_config.dependencies.find((step) => step.id === id);

// What the visitor did to which Gradio answers: "undo", "clear", ... Its further steps have no name.
const eventOf = (step) => stepOf(step)?.targets.at(0)?.[1];

export const idOf = (component) => window.gradio_config.components.find(({ id }) => id === component)?.props.elem_id;

// What the page asks by itself, and what is set: nobody waits for these.
const UNSEEN = ["load", "click", "input", "blur", "like"];

function underWay(change, event) {
  requests.open += change;
  if (!UNSEEN.includes(event)) requests.asking += change;
  document.documentElement.classList.toggle("hfchat-asking", requests.asking > 0);
}

// Where a stream breaks, Gradio does nothing more: what came last is shown, and read, before it hears of that.
function patient(answer) {
  if (!answer.headers.get("Content-Type")?.startsWith("text/event-stream")) return answer;
  const reader = answer.body.getReader();
  const body = new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        controller.close();
        streamEnded();
      } catch (failure) {
        await pause(100);
        press("hfchat-read");
        await pause(50);
        streamEnded();
        controller.error(failure);
      }
    },
    cancel(why) { streamEnded(); return reader.cancel(why); },
  });
  return new Response(body, { status: answer.status, headers: answer.headers });
}

const answerOf = (data = []) => new Response(JSON.stringify({ data, is_generating: false }), { headers: { "Content-Type": "application/json" } });

// The answer to a request of the page, which `send` sends as it is to be.
export async function bridged([address, options], send) {
  const url = String(address?.url ?? address);
  if (options?.method !== "POST" || !url.includes("/gradio_api/")) return patient(await send(address, options));
  const given = typeof options.body === "string" ? JSON.parse(options.body) : {};
  // What was stopped before it was sent: the server knows no event of it.
  if (/\/(?:cancel|reset)$/.test(url) && !given.event_id) return answerOf();
  const pressed = presses.get(idOf(given.trigger_id)), event = eventOf(given.fn_index), does = events.get(event);
  if (pressed?.instead) return answerOf(pressed.instead(given.data));
  let body = does?.before?.(given) ?? given, answer;
  if (pressed?.before) body = { ...body, data: pressed.before() };
  underWay(1, event);
  if (["undo", "clear"].includes(event)) requests.emptied = event;
  const joins = url.includes("/queue/join");
  try {
    for (const change of sends) {
      const changed = await change(body, url);
      if (changed === false) return new Promise(() => {});
      body = changed ?? body;
    }
    answer = patient(await send(address, body === given ? options : { ...options, body: JSON.stringify(body) }));
    if (joins && !answer.ok) streamEnded();
    if (answer.ok) does?.after?.(given);
    return answer.ok && ["submit", "undo"].includes(event) ? await withDraft(answer, event, given.data[0]) : answer;
  } catch (failure) {
    if (joins) streamEnded();
    throw failure;
  } finally {
    underWay(-1, event);
    requests.ended = Date.now();
    pressed?.after?.(answer?.ok ? (await answer.clone().json().catch(() => ({}))).data ?? [] : []);
  }
}

// What was written while a question was on its way, or before one was taken back, stays in the box.
let takenBack = "";
async function withDraft(answer, event, asked) {
  const { data, ...more } = await answer.clone().json(), at = event === "submit" ? 0 : 1, draft = textBox()?.value ?? "";
  if (typeof data?.[at] !== "string") return answer;
  if (event === "submit" && draft !== asked) data[at] = draft.startsWith(asked) ? draft.slice(asked.length) : draft;
  if (event === "undo") takenBack = data[at] = draft.trim() && draft !== takenBack ? `${data[at]}\n\n${draft}` : data[at];
  return new Response(JSON.stringify({ data, ...more }), { status: answer.status, headers: answer.headers });
}
