// Reads lines of {"id", "do", "value"} and answers each with a line: the page's own modules, without a page.
import { createInterface } from "node:readline";
import { unionText } from "../web/fit.js";
import * as presets from "../web/presets.js";

const doing = {
  preset: (text) => presets.formatPreset(presets.parsePreset(text)),
  bytes: (base64) => presets.formatPreset(presets.readPreset("x.json", Buffer.from(base64, "base64"))),
  union: (text) => unionText(presets.parsePreset(text), null),
  file: (name) => presets.fileName(name),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, value } = JSON.parse(line);
  const started = process.cpuUsage();
  const answer = {};
  try {
    answer.value = doing[what](value);
  } catch (error) {
    answer.error = String(error.message);
    answer.kind = error.constructor.name;
  }
  const { user, system } = process.cpuUsage(started);
  process.stdout.write(JSON.stringify({ ...answer, seconds: (user + system) / 1e6 }) + "\n");
}
