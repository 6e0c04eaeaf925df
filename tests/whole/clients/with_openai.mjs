// The npm package `openai`, in the story that story.py tells for the others.

import OpenAI from "openai";

const plan = JSON.parse(process.argv[2]);
const user = (content) => ({ role: "user", content });
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const schema = {
  type: "object",
  properties: { minutes: { type: "integer", minimum: 1, maximum: 9 } },
  required: ["minutes"],
  additionalProperties: false,
};

class Client {
  constructor(baseURL, apiKey, model, maxRetries = 0) {
    this.api = new OpenAI({ baseURL, apiKey, maxRetries });
    this.model = model;
  }

  async say(messages, max_tokens = 8) {
    const said = await this.api.chat.completions.create({ model: this.model, messages, max_tokens });
    return said.choices[0].message.content;
  }

  async *stream(messages, max_tokens = 8) {
    const parts = await this.api.chat.completions.create({ model: this.model, messages, max_tokens, stream: true });
    for await (const part of parts) {
      const piece = part.choices[0]?.delta.content;
      if (piece) yield piece;
    }
  }

  async weather(messages) {
    const tools = [{ type: "function", function: { name: "weather", parameters } }];
    const stream = this.api.chat.completions.stream({ model: this.model, messages, tools });
    const { message } = (await stream.finalChatCompletion()).choices[0];
    const [call] = message.tool_calls;
    const answered = { role: "tool", tool_call_id: call.id, content: "sunny" };
    return { asked: JSON.parse(call.function.arguments), said: await this.say([...messages, message, answered]) };
  }

  async minutes(messages) {
    const response_format = { type: "json_schema", json_schema: { name: "Recipe", schema, strict: true } };
    const said = await this.api.chat.completions.parse({ model: this.model, messages, response_format, temperature: 0 });
    return JSON.parse(said.choices[0].message.content).minutes;
  }
}

async function all(pieces) {
  const heard = [];
  for await (const piece of pieces) heard.push(piece);
  return heard;
}

async function conversation(client) {
  const messages = [user("Once upon a time")];
  const first = await client.say(messages);
  messages.push({ role: "assistant", content: first }, user("And then"));
  const pieces = await all(client.stream(messages));
  messages.push({ role: "assistant", content: pieces.join("") }, user("The end"));
  return { first, pieces, last: await client.say(messages) };
}

async function failure(call) {
  try {
    await call();
  } catch (raised) {
    return { class: raised.constructor.name, status: raised.status ?? null, text: raised.message };
  }
  return { class: "none", status: null, text: "" };
}

async function failures(ask) {
  const told = {};
  for (const [failing, asked] of Object.entries(plan.failures)) {
    const client = new Client(plan.stub, asked.token, plan.name);
    told[failing] = await failure(() => ask(client, [user(asked.says)], asked.max_tokens));
  }
  return told;
}

async function cut(client) {
  const heard = [];
  const raised = await failure(async () => {
    for await (const piece of client.stream([user("cut")])) heard.push(piece);
  });
  return { raised, heard };
}

async function leave(client) {
  const stream = client.stream([user("forever")]);
  const first = (await stream.next()).value;
  await stream.return();
  const until = Date.now() + 10_000;
  let alone = "";
  while ((alone = (await client.say([user("alone")])).trim()) !== "yes" && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { first, alone };
}

const here = new Client(plan.stub, plan.token, plan.name);
const model = new Client(plan.model, plan.token, "gemma");
const told = {
  stub: await conversation(here),
  failures: await failures((client, messages, most) => client.say(messages, most)),
  "streamed failures": await failures((client, messages, most) => all(client.stream(messages, most))),
  busy: await new Client(plan.stub, plan.token, plan.name, 2).say([user("busy")]),
  cut: await cut(here),
  left: await leave(here),
  model: await conversation(model),
  weather: await here.weather([user("weather")]),
  minutes: await here.minutes([user("minutes")]),
  "minutes of the model": await model.minutes([user('{"minutes": 4}')]),
};
console.log(JSON.stringify(told));
