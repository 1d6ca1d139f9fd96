// Through which replica each session's last request came: a replica is told by the address of its connection to this
// node, and by the port that it says its client connected to.

import { lookup } from "node:dns/promises";

const lookupLife = 5000;

export class Via {
  #known = new Map(); // sid -> name of the replica
  #hosts = new Map(); // host -> {addresses, at}

  /** replicas are {name, host, port}. */
  constructor(replicas) {
    this.replicas = replicas;
  }

  watch(engine) {
    engine.use((req, _res, next) => {
      const sid = new URL(req.url, "http://node").searchParams.get("sid");
      if (sid && this.#known.has(sid)) this.#note(sid, req);
      next();
    });
    engine.on("connection", (session) => {
      this.#known.set(session.id, "");
      this.#note(session.id, session.request);
      session.once("close", () => this.#known.delete(session.id));
    });
  }

  of(sid) {
    return this.#known.get(sid) ?? "";
  }

  async #note(sid, req) {
    const name = await this.#replica(req.socket.remoteAddress?.replace(/^::ffff:/, ""), req.headers["x-forwarded-port"]);
    if (name && this.#known.has(sid)) this.#known.set(sid, name);
  }

  async #replica(address, port) {
    for (const { name, host, port: known } of this.replicas) {
      if (known === port && (host === address || (await this.#addresses(host)).includes(address))) return name;
    }
    return "";
  }

  async #addresses(host) {
    const known = this.#hosts.get(host);
    if (known && Date.now() - known.at < lookupLife) return known.addresses;
    const found = await lookup(host, { all: true }).catch(() => []); // a host that is away has no addresses
    const addresses = found.map((f) => f.address);
    this.#hosts.set(host, { addresses, at: Date.now() });
    return addresses;
  }
}

/** parseReplica reads name=host:port. */
export function parseReplica(text) {
  const m = /^([^=]+)=(.+):(\d+)$/.exec(text);
  if (!m) throw new Error(`a replica is given as name=host:port, not as ${text}`);
  return { name: m[1], host: m[2], port: m[3] };
}
