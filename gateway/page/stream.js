// The stream of /api/status/stream: server-sent events, read by fetch, since an EventSource neither tells why it failed nor takes
// events whose names it was not told.

import { bearing, keptToken, signIn } from "./token.js";

const patience = 6000; // ms without a word after which a connection counts as lost
const firstPause = 500;
const longestPause = 5000;

/** parse takes the whole messages at the beginning of a text, and returns them and what is left. */
export function parse(text) {
  const messages = [];
  const parts = text.split("\n\n");
  const rest = parts.pop();
  for (const part of parts) {
    const m = { id: "", kind: "message", data: "" };
    for (const line of part.split("\n")) {
      const at = line.indexOf(":");
      if (at < 1) continue; // a comment
      const value = line.slice(at + 1).replace(/^ /, "");
      switch (line.slice(0, at)) {
        case "id": m.id = value; break;
        case "event": m.kind = value; break;
        case "data": m.data += (m.data && "\n") + value; break;
      }
    }
    if (m.data) messages.push(m);
  }
  return { messages, rest };
}

/** failure returns the Error, with the status, that an answer is. */
async function failure(answer) {
  const said = await answer.json().catch(() => ({}));
  return Object.assign(new Error(said.error ?? `the replica answers ${answer.status}`), { status: answer.status });
}

/** follow reads the stream for ever, and begins again when it ends. on.message is given each message, on.lost an Error: why there is none. */
export async function follow(url, on) {
  let last = "";
  for (let pause = firstPause; ; pause = Math.min(2 * pause, longestPause)) {
    const stop = new AbortController();
    let timer = 0;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => stop.abort(new Error("nothing was heard for too long")), patience);
    };
    try {
      alive();
      const used = keptToken();
      const answer = await fetch(url, { signal: stop.signal, cache: "no-store", headers: { ...bearing(used), ...(last ? { "Last-Event-ID": last } : {}) } });
      if (answer.status === 401) {
        clearTimeout(timer);
        on.lost(Object.assign(new Error("the replica asks for its token"), { status: 401 }));
        await signIn(used);
        continue;
      }
      if (!answer.ok) throw await failure(answer);
      let text = "";
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        alive();
        const { messages, rest } = parse(text + piece.value);
        text = rest;
        for (const m of messages) {
          last = m.id || last;
          try {
            on.message(m);
          } catch (err) {
            reportError(err); // a mistake of the page is none of the connection
          }
        }
        pause = firstPause;
      }
      throw new Error("the replica has closed the connection");
    } catch (err) {
      on.lost(err.message === "Failed to fetch" ? new Error("the replica cannot be reached") : err);
    } finally {
      clearTimeout(timer);
    }
    await new Promise((go) => setTimeout(go, pause / 2 + (Math.random() * pause) / 2));
  }
}

/** ask sends a request to the API with the token that is kept, and returns its answer. A failure is an Error with the status. Where
 * something is only read, a token that is missing or wrong is asked for. */
export async function ask(method, path, { body, token = keptToken() } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method, cache: "no-store",
      headers: bearing(token),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("the replica cannot be reached");
  }
  if (answer.ok) return answer.json().catch(() => ({}));
  if (answer.status !== 401 || method !== "GET") throw await failure(answer);
  await signIn(token);
  return ask(method, path);
}
