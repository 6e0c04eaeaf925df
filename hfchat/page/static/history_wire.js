// What passes between Gradio and the server for our hidden buttons, and whether anything is under way: the box pales where
// a turn takes a while to begin, or to be taken back.

const requests = { open: 0, asking: 0, ended: 0, emptied: "" };
const pressed = new Map();
const sentBefore = window.fetch;

// What happens with the request that follows when the button is pressed: `before` gives the data to send, `instead` gets
// the data, which nobody is sent, and gives those of the answer, if any, `after` gets these, or nothing where there is none.
const onPress = (button, does) => pressed.set(button, does);

// What the visitor did to which Gradio answers: "undo", "clear", ... Its further steps have no name.
const eventOf = (step) => window.gradio_config.dependencies.find(({ id }) => id === step)?.targets.at(0)?.[1];

const buttonOf = (component) => window.gradio_config.components.find(({ id }) => id === component)?.props.elem_id;

// What the page asks by itself, and what is set: nobody waits for these.
const UNSEEN = ["load", "click", "input", "blur", "like"];

function underWay(change, event) {
  requests.open += change;
  if (!UNSEEN.includes(event)) requests.asking += change;
  document.documentElement.classList.toggle("hfchat-asking", requests.asking > 0);
}

// Is called with whether the server was reached.
const reached = { tell: () => {} };

// Where a stream breaks, Gradio does nothing more: what came last is shown, and read, before it hears of that.
function patient(answer) {
  const reader = answer.body.getReader();
  const body = new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (failure) {
        await pause(100);
        press("hfchat-read");
        await pause(50);
        controller.error(failure);
      }
    },
    cancel: (why) => reader.cancel(why),
  });
  return new Response(body, { status: answer.status, headers: answer.headers });
}

async function sent(request) {
  try {
    const answer = await sentBefore(...request);
    reached.tell(true);
    return answer.headers.get("Content-Type")?.startsWith("text/event-stream") ? patient(answer) : answer;
  } catch (failure) {
    if (failure?.name !== "AbortError") reached.tell(false);
    throw failure;
  }
}

const answerOf = (data = []) => new Response(JSON.stringify({ data, is_generating: false }), { headers: { "Content-Type": "application/json" } });

window.fetch = async (...request) => {
  const [address, options] = request;
  if (options?.method !== "POST" || !String(address?.url ?? address).includes("/gradio_api/")) return sent(request);
  const body = typeof options.body === "string" ? JSON.parse(options.body) : {};
  const does = pressed.get(buttonOf(body.trigger_id));
  if (does?.instead) {
    return answerOf(does.instead(body.data));
  }
  const event = eventOf(body.fn_index);
  if (event === "like") {
    const { index, liked } = body.event_data, before = tab?.rate(index, liked) ?? null;
    // Which reply is rated is told by its place alone.
    request[1] = { ...options, body: JSON.stringify({ ...body, event_data: { index, liked, value: null, previous_value: before } }) };
  }
  if (does?.before) request[1] = { ...options, body: JSON.stringify({ ...body, data: does.before() }) };
  underWay(1, event);
  if (["undo", "clear"].includes(event)) requests.emptied = event;
  let answer;
  try {
    const asks = await withPictures(address?.url ?? address, body);
    if (asks) request[1] = { ...options, body: JSON.stringify(asks) };
    answer = await sent(request);
    if (answer.ok && ["retry", "undo", "edit"].includes(event)) tab?.unrate(event === "edit" ? body.event_data?.index : undefined);
    return answer.ok && ["submit", "undo"].includes(event) ? await withDraft(answer, event, body.data[0]) : answer;
  } finally {
    underWay(-1, event);
    requests.ended = Date.now();
    does?.after?.(answer?.ok ? (await answer.clone().json()).data : []);
  }
};

// What was written while a question was on its way, or before one was taken back, stays in the box.
let takenBack = "";
async function withDraft(answer, event, asked) {
  const { data, ...more } = await answer.clone().json(), at = event === "submit" ? 0 : 1, draft = textBox()?.value ?? "";
  if (typeof data?.[at] !== "string") return answer;
  if (event === "submit" && draft !== asked) data[at] = draft.startsWith(asked) ? draft.slice(asked.length) : draft;
  if (event === "undo") takenBack = data[at] = draft.trim() && draft !== takenBack ? `${data[at]}\n\n${draft}` : data[at];
  return new Response(JSON.stringify({ data, ...more }), { status: answer.status, headers: answer.headers });
}

// Calls back once, when there is such an element.
function whenThere(selector, callback) {
  const watch = new MutationObserver(look);
  function look() {
    const found = document.querySelector(selector);
    if (found) { watch.disconnect(); callback(found); }
  }
  watch.observe(document, { subtree: true, childList: true });
  look();
}
