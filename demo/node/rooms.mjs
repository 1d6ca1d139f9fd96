// What the chat's nodes share in Redis; demo/rooms does the same in Go, with the same keys and the same script, and says
// why it is as it is.

import { readFileSync } from "node:fs";
import { commandOptions, createClient } from "redis";

const pageSize = 100;
const listed = 50;
const present = 15_000; // ms
const limit = 3_000; // ms for one request to Redis
const script = readFileSync(new URL("../rooms/append.lua", import.meta.url), "utf8");

const keyOf = (room, what) => `demo:{${room}}:${what}`;

const fieldOf = (member) => `${member.node} ${member.socket}`;

/** position takes an id apart; null for none. */
export function position(id) {
  const m = /^(\d+)-(\d+)$/.exec(id ?? "");
  return m && Number(m[1]) > 0 && Number(m[2]) > 0 ? { began: Number(m[1]), number: Number(m[2]) } : null;
}

/** connect returns a client that tries for ever to reach Redis; commands fail at once meanwhile, unless they may wait. */
export function connect(url, { patient = false } = {}) {
  const client = createClient({
    url,
    disableOfflineQueue: !patient,
    socket: { connectTimeout: 2000, reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, 500) },
  });
  client.on("error", () => {}); // told by the commands that fail
  client.connect().catch(() => {});
  return client;
}

function inTime(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("Redis does not answer")), limit);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function messages(entries) {
  return entries.map(({ id, message }) => {
    let body = {};
    try {
      body = JSON.parse(message.message);
    } catch {
      // It still takes its place, because numbers have no gaps.
    }
    return { ...body, id };
  });
}

export class Rooms {
  constructor(client, { kept = 1000, images = 20, life = 7 * 24 * 3600 } = {}) {
    Object.assign(this, { client, kept: kept || 1000, images, life });
  }

  /** append puts a message at the end of a room's log, once for its key, and returns its id. */
  async append(room, message, image) {
    const { key } = message;
    return inTime(this.client.eval(script, {
      keys: [keyOf(room, "log"), keyOf(room, `sent:${key}`), keyOf(room, "images"), keyOf(room, `image:${key}`)],
      arguments: [
        String(this.kept), String(this.images), String(this.life), String(Date.now()), key, JSON.stringify(message),
        image ?? "", keyOf(room, "image:"),
      ],
    }));
  }

  /** after returns what follows the message with this id, or the end of the log if it has no such message. */
  async after(room, id) {
    const log = keyOf(room, "log");
    const known = position(id);
    const [follows, end, read] = await inTime(Promise.all([
      known ? this.client.xRange(log, `(${id}`, "+", { COUNT: pageSize }) : null,
      this.client.xRevRange(log, "+", "-", { COUNT: pageSize }),
      this.client.hGetAll(keyOf(room, "read")),
    ]));
    end.reverse();
    const last = position(end.at(-1)?.id);
    const same = known && last && last.began === known.began && known.number <= last.number;
    const page = same
      ? { messages: messages(follows), more: follows.length === pageSize, reset: false }
      : { messages: messages(end), more: false, reset: true };
    const order = (a, b) => b.began - a.began || b.number - a.number;
    page.read = Object.entries(read).map(([uid, id]) => ({ uid, id })).filter(({ id }) => position(id))
      .sort((a, b) => order(position(a.id), position(b.id))).slice(0, 2);
    return page;
  }

  /** before returns what precedes the message with this id. */
  async before(room, id) {
    if (!position(id)) return { messages: [], more: false, reset: false };
    const entries = await inTime(this.client.xRevRange(keyOf(room, "log"), `(${id}`, "-", { COUNT: pageSize }));
    return { messages: messages(entries.reverse()), more: entries.length === pageSize, reset: false };
  }

  /** image returns the bytes of a message's image, null when it is no longer kept. */
  async image(room, key) {
    return inTime(this.client.get(commandOptions({ returnBuffers: true }), keyOf(room, `image:${key}`)));
  }

  /** read records that a member's client has all messages up to this one. */
  async read(room, uid, id) {
    const key = keyOf(room, "read");
    await inTime(Promise.all([this.client.hSet(key, uid, id), this.client.expire(key, this.life)]));
  }

  /** report says that these members are here, and that their node runs. */
  async report(node, members) {
    const at = Date.now();
    const work = [this.client.hSet("demo:nodes", node.name, JSON.stringify({ ...node, at }))];
    for (const m of members) {
      work.push(
        this.client.hSet(keyOf(m.room, "here"), fieldOf(m), JSON.stringify({ ...m, at })),
        this.client.pExpire(keyOf(m.room, "here"), 4 * present),
        this.client.zAdd("demo:rooms", { score: at, value: m.room }),
      );
    }
    await inTime(Promise.all(work));
  }

  /** leave says that these members are no longer here. */
  async leave(members) {
    await inTime(Promise.all(members.map((m) => this.client.hDel(keyOf(m.room, "here"), fieldOf(m)))));
  }

  /** nodes lists the nodes that have lately reported. */
  async nodes() {
    const all = Object.values(await inTime(this.client.hGetAll("demo:nodes"))).map((text) => JSON.parse(text));
    return all.filter((n) => n.at > Date.now() - present).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** list returns the rooms that were used last, with their members, in the order of their names. */
  async list() {
    const oldest = Date.now() - this.life * 1000;
    const names = await inTime(this.client.zRange("demo:rooms", "+inf", oldest, {
      BY: "SCORE", REV: true, LIMIT: { offset: 0, count: listed },
    }));
    names.sort();
    return inTime(Promise.all(names.map(async (name) => {
      const [here, end] = await Promise.all([
        this.client.hGetAll(keyOf(name, "here")),
        this.client.xRevRange(keyOf(name, "log"), "+", "-", { COUNT: 1 }),
      ]);
      return { name, last: end[0]?.id ?? "", members: this.#present(Object.values(here)) };
    })));
  }

  // A client whose node died is listed there until its time is over, and on its new node already: the later word counts.
  #present(texts) {
    const byUID = new Map();
    for (const m of texts.map((text) => JSON.parse(text))) {
      if (m.at > Date.now() - present && !(byUID.get(m.uid)?.at >= m.at)) byUID.set(m.uid, m);
    }
    return [...byUID.values()].sort((a, b) => a.name.toLowerCase().localeCompare(b.name.toLowerCase()) || (a.uid < b.uid ? -1 : 1));
  }
}
