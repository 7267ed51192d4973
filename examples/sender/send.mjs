// node send.mjs [recipients.ndjson]: keys are in RANK_KEY and FRESHRANK_TOKEN_KEYS, the rest in sender.config.json and copy.json.

import { readFileSync } from "node:fs";
import nodemailer from "nodemailer";
import { send } from "./sender.mjs";

const json = (file) => JSON.parse(readFileSync(file, "utf8"));
const secret = (name) => process.env[name] ?? (console.error(`error: ${name} is not set`), process.exit(1));
const recipients = readFileSync(process.argv[2] ?? "recipients.ndjson", "utf8").split("\n").filter((line) => line.trim());
const config = {
  ...json("sender.config.json"),
  rankKey: secret("RANK_KEY"),
  tokenKeys: secret("FRESHRANK_TOKEN_KEYS"),
  warn: (text) => console.error(`warning: ${text}`),
};
const transport = nodemailer.createTransport({ ...config.smtp, pool: true, ignoreTLS: true });
const told = await send(config, json("copy.json"), recipients.map((line) => JSON.parse(line)), transport);
transport.close();
console.log(`${told.sent} sent, ${told.fallback} of them with copy that needs no answer; ${told.before} were sent before, ${told.failed} failed`);
process.exitCode = told.failed ? 1 : 0;
