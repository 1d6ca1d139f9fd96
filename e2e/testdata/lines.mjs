// The line protocol between the tests and their processes: one JSON object in, one JSON object out, in order.
import { createInterface } from "node:readline";

export function say(value) {
  process.stdout.write(JSON.stringify(value) + "\n");
}

/** serve answers each line by the handler that its `cmd` names. The end of stdin ends the process, so that none outlives its test. */
export async function serve(handlers) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { cmd, ...args } = JSON.parse(line);
    say(await handlers[cmd](args));
    if (cmd === "stop") break;
  }
  process.exit(0);
}
