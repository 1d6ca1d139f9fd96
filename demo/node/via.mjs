// Through which replica each session's last request came: a replica is told by the address of its connection to this
// node, and by the port that it says its client connected to.

import { lookup } from "node:dns/promises";

/** hop is the address of a gateway's connection to this node, and the port that the gateway's client connected to. */
const hop = (address, port) => `${address} ${port}`;
const hopOf = (req) => hop(req.socket.remoteAddress?.replace(/^::ffff:/, ""), req.headers["x-forwarded-port"]);

export class Via {
  #last = new Map(); // sid -> how its last request came
  #names = new Map(); // hop -> name of the replica, as last looked up
  #asked = new Set(); // replicas whose lookup goes on

  /** replicas are {name, host, port}; find resolves a host to a list of {address}. */
  constructor(replicas, find = (host) => lookup(host, { all: true })) {
    Object.assign(this, { replicas, find });
  }

  watch(engine) {
    engine.use((req, _res, next) => {
      const sid = new URL(req.url, "http://node").searchParams.get("sid");
      if (this.#last.has(sid)) this.#last.set(sid, hopOf(req));
      next();
    });
    engine.on("connection", (session) => {
      this.#last.set(session.id, hopOf(session.request));
      session.once("close", () => this.#last.delete(session.id));
    });
  }

  of(sid) {
    return this.#names.get(this.#last.get(sid)) ?? "";
  }

  /** look finds the replicas' addresses. It is called now and then: demo/chat/via.go tells why. */
  async look() {
    await Promise.all(this.replicas.map((replica) => this.#find(replica)));
  }

  async #find(replica) {
    const { name, host, port } = replica;
    if (this.#asked.has(replica)) return;
    this.#asked.add(replica);
    const found = await this.find(host).catch(() => null);
    this.#asked.delete(replica);
    if (!found) return; // what it had stays its own until another one is found there
    for (const [at, known] of this.#names) if (known === name) this.#names.delete(at);
    for (const { address } of found) this.#names.set(hop(address, port), name);
  }
}

/** parseReplica reads name=host:port. */
export function parseReplica(text) {
  const m = /^([^=]+)=(.+):(\d+)$/.exec(text);
  if (!m) throw new Error(`a replica is given as name=host:port, not as ${text}`);
  return { name: m[1], host: m[2], port: m[3] };
}
