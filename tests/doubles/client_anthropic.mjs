// Asks a gateway by Anthropic's own client for JavaScript, by every route, and writes what that made of it as JSON.
// Runs in the folder of the doubles: URL, and the strategy to ask.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, url, strategy] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${modules}/`));
const Anthropic = require("@anthropic-ai/sdk").default;
const { zodOutputFormat } = require("@anthropic-ai/sdk/helpers/zod");
const { z } = require("zod");

const client = new Anthropic({ baseURL: url, apiKey: "any" });
const Fruit = z.object({ kind: z.enum(["plum", "pear"]) });
const weather = {
  name: "weather",
  input_schema: {
    type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false,
  },
};
const look = [
  { type: "text", text: "look" },
  { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
];
const thinking = { max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 1024 } };

const user = (content) => ({ role: "user", content });
const body = (content, more) => ({
  model: strategy, max_tokens: 100, messages: content[0]?.role ? content : [user(content)], ...more,
});
const asked = (content, more = {}) => client.messages.create(body(content, more));
const streamed = (content, more = {}) => client.messages.stream(body(content, more)).finalMessage();
const text = (answer) => answer.content.filter((block) => block.type === "text").map((block) => block.text).join("");
const said = (answer) => [text(answer), answer.stop_reason];
const thoughts = (answer) => [
  answer.content.filter((block) => block.type === "thinking").map((block) => block.thinking), said(answer),
];

async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

async function loop(ask) {
  const messages = [user("weather in two cities")];
  const first = await ask(messages, { tools: [weather] });
  const calls = first.content.filter((block) => block.type === "tool_use");
  const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: "7 degrees" }));
  messages.push({ role: "assistant", content: first.content }, user(results));
  return [first.stop_reason, calls.map((call) => call.input.city), said(await ask(messages, { tools: [weather] }))];
}

const scenarios = {
  text: async () => said(await asked("greet", { system: "Be kind." })),
  text_streamed: async () => said(await streamed("greet", { system: [{ type: "text", text: "Be kind." }] })),
  limit: async () => {
    const answer = await asked("count", { max_tokens: 3 });
    return [...said(answer), answer.usage.input_tokens, answer.usage.output_tokens];
  },
  limit_streamed: async () => {
    const answer = await streamed("count", { max_tokens: 3 });
    return [...said(answer), answer.usage.output_tokens];
  },
  reasoning: async () => thoughts(await asked("think", thinking)),
  reasoning_streamed: async () => thoughts(await streamed("think", thinking)),
  vision: async () => said(await asked(look)),
  vision_streamed: async () => said(await streamed(look)),
  tools: () => loop(asked),
  tools_streamed: () => loop(streamed),
  structured: async () =>
    (await client.messages.parse(body("a fruit", { output_config: { format: zodOutputFormat(Fruit) } }))).parsed_output
      .kind,
  counted: async () => {
    const counted = { model: strategy, messages: [user("greet")], tools: [weather] };
    return (await client.messages.countTokens(counted)).input_tokens > 0;
  },
  rate_limit: () => asked("too many"),
  rate_limit_streamed: () => streamed("too many"),
  context_limit: () => asked("too long"),
  overloaded: () => asked("overloaded"),
  broken_stream: () => streamed("cut me"),
  unknown_model: () => asked("greet", { model: "nobody" }),
  bad_parameter: () => asked("greet", { temperature: "hot" }),
  models: async () => {
    const names = (await all(client.models.list({ limit: 2 }))).map((model) => model.id);
    return [names.includes(strategy), (await client.models.retrieve(strategy)).type];
  },
  unknown_model_retrieved: () => client.models.retrieve("nobody"),
};

const found = {};
for (const [name, work] of Object.entries(scenarios)) {
  try {
    found[name] = await work();
  } catch (error) {
    if (!(error instanceof Anthropic.APIError)) throw error;
    found[name] = [error.constructor.name, error.status ?? null, error.error?.error?.type ?? null];
  }
}
process.stdout.write(JSON.stringify(found));
