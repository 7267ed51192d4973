// node sink.mjs: takes any mail on port 2525 and puts it into out/mail as .eml, so that a trial reaches nobody.

import { mkdirSync, writeFileSync } from "node:fs";
import { SMTPServer } from "smtp-server";

/** Starts it; `take` gets each message's bytes. */
export function sink(take, port = 0) {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    onData: async (stream, _, done) => {
      const chunks = [];
      for await (const chunk of stream) chunks.push(chunk);
      take(Buffer.concat(chunks));
      done();
    },
  });
  return new Promise((resolve) => {
    const listening = server.listen(port, "127.0.0.1", () => resolve({ port: listening.address().port, close: () => new Promise((end) => server.close(end)) }));
  });
}

if (process.argv[1]?.endsWith("sink.mjs")) {
  mkdirSync("out/mail", { recursive: true });
  let n = 0;
  const { port } = await sink((mail) => writeFileSync(`out/mail/${String(++n).padStart(4, "0")}.eml`, mail), 2525);
  console.log(`mail to 127.0.0.1:${port} goes to out/mail`);
}
