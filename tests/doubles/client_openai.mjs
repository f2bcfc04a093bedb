// Asks a gateway by OpenAI's own client for JavaScript, by every route, and writes what that made of it as JSON.
// Runs in the folder of the doubles: URL, and the strategy to ask.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, url, strategy] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/`));
const OpenAI = require("openai").default;
const { zodResponseFormat, zodTextFormat } = require("openai/helpers/zod");
const { z } = require("zod");

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
const Fruit = z.object({ kind: z.enum(["plum", "pear"]) });
const city = {
  type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false,
};
const weather = { type: "function", function: { name: "weather", parameters: city, strict: true } };
const flat = { type: "function", name: "weather", parameters: city, strict: true };
const pixel = "data:image/png;base64,iVBORw0KGgo=";
const look = [{ type: "text", text: "look" }, { type: "image_url", image_url: { url: pixel } }];

const user = (content) => ({ role: "user", content });
const asked = (content, more = {}) =>
  client.chat.completions.create({ model: strategy, messages: [user(content)], ...more });
const streamed = (messages, more = {}) =>
  client.chat.completions
    .stream({ model: strategy, messages, stream_options: { include_usage: true }, ...more })
    .finalChatCompletion();
const said = (answer) => [answer.choices[0].message.content, answer.choices[0].finish_reason];

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function loop(ask) {
  const messages = [user("weather in two cities")];
  const first = (await ask(messages)).choices[0];
  const calls = first.message.tool_calls;
  messages.push({ role: "assistant", content: first.message.content, tool_calls: calls });
  for (const call of calls) messages.push({ role: "tool", tool_call_id: call.id, content: "7 degrees" });
  const cities = calls.map((call) => JSON.parse(call.function.arguments).city);
  return [first.finish_reason, cities, said(await ask(messages))];
}

async function responseLoop(ask) {
  const messages = [user("weather in two cities")];
  const first = await ask(messages);
  const calls = first.output.filter((item) => item.type === "function_call");
  messages.push(...first.output);
  for (const call of calls) {
    messages.push({ type: "function_call_output", call_id: call.call_id, output: "7 degrees" });
  }
  return [calls.map((call) => JSON.parse(call.arguments).city), (await ask(messages)).output_text];
}

const scenarios = {
  text: async () => said(await asked("greet")),
  text_streamed: async () => said(await streamed([user("greet")])),
  text_event_by_event: async () =>
    (await all(await asked("greet", { stream: true }))).map((event) => event.choices[0]?.delta.content ?? "").join(""),
  limit: async () => {
    const answer = await asked("count", { max_tokens: 3 });
    return [...said(answer), answer.usage.prompt_tokens, answer.usage.completion_tokens];
  },
  limit_streamed: async () => {
    const events = await all(await asked("count", { max_tokens: 3, stream: true, stream_options: { include_usage: true } }));
    return [events.at(-1).usage.prompt_tokens, events.at(-1).usage.completion_tokens];
  },
  reasoning: async () => {
    const { message } = (await asked("think", { reasoning_effort: "low" })).choices[0];
    return [message.content, message.reasoning_content];
  },
  vision: async () => said(await asked(look)),
  vision_streamed: async () => said(await streamed([user(look)])),
  tools: () => loop((messages) => client.chat.completions.create({ model: strategy, messages, tools: [weather] })),
  tools_streamed: () => loop((messages) => streamed(messages, { tools: [weather] })),
  structured: async () => {
    const format = { response_format: zodResponseFormat(Fruit, "fruit") };
    const answer = await client.chat.completions.parse({ model: strategy, messages: [user("a fruit")], ...format });
    return answer.choices[0].message.parsed.kind;
  },
  structured_streamed: async () =>
    (await streamed([user("a fruit")], { response_format: zodResponseFormat(Fruit, "fruit") })).choices[0].message
      .parsed.kind,
  response: async () => {
    const answer = await client.responses.create({ model: strategy, input: "greet", instructions: "Be kind." });
    return [answer.output_text, answer.status];
  },
  response_streamed: async () => {
    const answer = await client.responses.stream({ model: strategy, input: "greet" }).finalResponse();
    return [answer.output_text, answer.status];
  },
  response_limit: async () => {
    const answer = await client.responses.create({ model: strategy, input: "count", max_output_tokens: 16 });
    return [answer.output_text, answer.status, answer.incomplete_details.reason, answer.usage.output_tokens];
  },
  response_vision: async () => {
    const parts = [{ type: "input_text", text: "look" }, { type: "input_image", image_url: pixel, detail: "auto" }];
    return (await client.responses.create({ model: strategy, input: [user(parts)] })).output_text;
  },
  response_structured: async () => {
    const text = { format: zodTextFormat(Fruit, "fruit") };
    return (await client.responses.parse({ model: strategy, input: "a fruit", text })).output_parsed.kind;
  },
  response_tools: () => responseLoop((input) => client.responses.create({ model: strategy, input, tools: [flat] })),
  response_tools_streamed: () =>
    responseLoop((input) => client.responses.stream({ model: strategy, input, tools: [flat] }).finalResponse()),
  response_with_a_memory: () =>
    client.responses.create({ model: strategy, input: "greet", previous_response_id: "resp_1" }),
  rate_limit: () => asked("too many"),
  rate_limit_streamed: async () => all(await asked("too many", { stream: true })),
  context_limit: () => asked("too long"),
  overloaded: () => asked("overloaded"),
  overloaded_response: () => client.responses.create({ model: strategy, input: "overloaded" }),
  broken_stream: async () => all(await asked("cut me", { stream: true })),
  unknown_model: () => client.chat.completions.create({ model: "nobody", messages: [user("greet")] }),
  bad_parameter: () => asked("greet", { temperature: "hot" }),
  models: async () => {
    const names = (await all(client.models.list())).map((model) => model.id);
    return [names.includes(strategy), (await client.models.retrieve(strategy)).owned_by];
  },
  unknown_model_retrieved: () => client.models.retrieve("nobody"),
  vectors: async () => {
    const numbers = await client.embeddings.create({ model: "embed", input: "embed me", encoding_format: "float" });
    const usual = await client.embeddings.create({ model: "embed", input: ["embed me", "embed me"] });
    return [numbers.data[0].embedding, usual.data.map((row) => row.embedding)];
  },
  pictures: async () =>
    (await client.images.generate({ model: "image", prompt: "a red cat", response_format: "b64_json" })).data[0].b64_json,
  pictures_streamed: async () =>
    (await all(await client.images.generate({ model: "image", prompt: "a red cat", stream: true }))).map(
      (event) => [event.type, event.b64_json],
    ),
  completion: async () => {
    const body = { model: "complete", prompt: "greet", max_tokens: 20 };
    const [choice] = (await client.completions.create(body)).choices;
    return [choice.text, choice.finish_reason];
  },
  completion_streamed: async () => {
    const body = { model: "complete", prompt: "greet", max_tokens: 20, stream: true };
    return (await all(await client.completions.create(body))).map((event) => event.choices[0]?.text ?? "").join("");
  },
};

const found = {};
for (const [name, work] of Object.entries(scenarios)) {
  try {
    found[name] = await work();
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    found[name] = [error.constructor.name, error.status ?? null, error.code ?? null];
  }
}
process.stdout.write(JSON.stringify(found));
