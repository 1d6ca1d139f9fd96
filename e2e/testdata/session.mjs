// One client session: sends numbered messages, expects each back once and in order, and judges what the node pushes.
import { Ledger, digest } from "./ledger.mjs";
import { payload } from "./payload.mjs";

const transports = { polling: ["polling"], upgrade: ["polling", "websocket"], websocket: ["websocket"] };
const sizes = [16, 300, 2000, 60, 9000, 700, 40];

/**
 * Session drives one socket of either library. Sequence numbers start again with each connection, so that a session
 * that was cut is judged up to the cut and from its reconnection on; what was unanswered at the cut counts as `cut`.
 */
export class Session {
  events = [];
  sids = [];
  nodes = [];
  counts = { connects: 0, connectErrors: 0, disconnects: 0, sent: 0, acked: 0, lost: 0, doubled: 0, reordered: 0, corrupt: 0, cut: 0, pushes: 0 };
  wanted = 0;
  pace = 0;
  life = null;
  stalled = false;

  constructor(driver, index, mode) {
    Object.assign(this, { driver, index, mode, name: `${mode}-${index}` });
  }

  open() {
    const { io, config } = this.driver;
    this.socket = io(config.url, {
      transports: transports[this.mode],
      upgrade: this.mode === "upgrade",
      forceNew: true,
      reconnection: config.reconnection ?? true,
      timeout: config.connectTimeout ?? 20000,
      ...(config.rooms && { query: { room: `room-${this.index % config.rooms}` } }),
      ...(this.driver.agent && { agent: this.driver.agent }),
    });
    this.socket.on("connect", () => this.onConnect());
    this.socket.on("connect_error", (err) => this.onConnectError(err));
    this.socket.on("disconnect", (reason) => this.onDisconnect(reason));
    this.socket.on("hello", ({ node }, ack) => {
      this.nodes.push(node);
      ack?.();
    });
    this.socket.on("push", (head, data) => this.onPush(head, data));
  }

  onConnect() {
    this.counts.connects++;
    this.sids.push(this.socket.io.engine.id);
    this.life = { next: 0, acks: new Ledger(), pushes: new Ledger(), waiting: new Map(), large: null };
    this.socket.io.engine.once("upgrade", () => this.pump());
    this.pump();
  }

  onConnectError(err) {
    this.counts.connectErrors++;
    this.note(`connect_error: ${err.message} ${err.description?.message ?? err.description ?? ""}`);
  }

  onDisconnect(reason) {
    if (this.driver.stopping) return;
    this.counts.disconnects++;
    this.note(`disconnect: ${reason}`);
    const waiting = this.life?.waiting ?? new Map(); // some ends come when the session has been closed already
    this.counts.cut += waiting.size;
    for (const release of waiting.values()) release();
    this.close();
  }

  onPush({ seq, sum }, data) {
    this.counts.pushes++;
    this.life?.pushes.take(seq, digest(data) === sum);
  }

  note(event) {
    if (this.events.length < 20) this.events.push(`${((Date.now() - this.driver.began) / 1000).toFixed(2)} ${event}`);
  }

  get transport() {
    return this.socket.io.engine?.transport?.name ?? "";
  }

  /** idle tells whether nothing is to be sent or awaited. */
  get idle() {
    return this.stalled || (this.life && this.life.waiting.size === 0 && !this.life.large && this.counts.acked + this.counts.lost >= this.wanted);
  }

  // Keeps `window` messages in flight; a large one goes alone, since two in one polling payload would pass the node's limit.
  pump() {
    const { life, driver } = this;
    if (driver.config.upgradeFirst && this.mode === "upgrade" && this.transport !== "websocket") return;
    while (life && life === this.life && !this.stalled && !life.large && !life.resting) {
      if (life.waiting.size >= driver.config.window) return;
      if (this.counts.acked + life.waiting.size >= this.wanted) return;
      const large = this.largeNext(life);
      if (large && life.waiting.size > 0) return;
      if (large) {
        life.large = driver.largeSlots.take().then((release) => {
          if (life === this.life) this.send(life, release);
          else release();
        });
      } else {
        this.send(life, () => {});
      }
      if (this.pace) {
        life.resting = true;
        setTimeout(() => { life.resting = false; this.pump(); }, this.pace);
      }
    }
  }

  largeNext(life) {
    const { every } = this.driver.config.large ?? {};
    return every > 0 && (life.next + this.index) % every === every - 1;
  }

  sizeOf(life, large) {
    const limits = this.driver.config.large;
    if (!large) return Math.min(sizes[life.next % sizes.length] + (life.next % 5), this.driver.config.small ?? Infinity);
    return this.transport === "websocket" ? limits.websocket : limits.polling;
  }

  send(life, release) {
    const size = this.sizeOf(life, life.large !== null);
    const seq = life.next++;
    const binary = (seq + this.index) % 2 === 1;
    const data = payload({ salt: this.index, seq, size, binary });
    const sum = digest(data);
    const timer = setTimeout(() => this.onStall(life, seq), this.driver.config.stall);
    life.waiting.set(seq, () => { clearTimeout(timer); release(); });
    this.counts.sent++;
    this.socket.emit("echo", { seq, sum, late: seq % 3 === 0 ? 15 : 0 }, data, (head, back) => {
      this.onAck(life, head, digest(back) === sum);
    });
  }

  onAck(life, { seq }, intact) {
    const release = life.waiting.get(seq);
    if (release) {
      life.waiting.delete(seq);
      release();
      this.counts.acked++;
      life.large = null;
    }
    life.acks.take(seq, intact);
    if (life !== this.life) return;
    this.pump();
    this.driver.check();
  }

  // Nothing came back for so long that nothing will: what is out is lost, and the session stops.
  onStall(life, seq) {
    if (life !== this.life) return;
    this.note(`no answer to message ${seq}`);
    this.stalled = true;
    this.counts.lost += life.waiting.size;
    for (const release of life.waiting.values()) release();
    life.waiting.clear();
    this.driver.check();
  }

  /** settle waits until the node has pushed all that it will, and counts what did not come. */
  async settle() {
    const { life, socket } = this;
    if (!life || this.stalled) return;
    const answer = await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), this.driver.config.stall);
      const done = (answer) => { clearTimeout(timer); resolve(answer); };
      socket.emit("settle", done);
      socket.once("disconnect", () => done({ pushed: 0 }));
    });
    if (answer === null) {
      this.note("no answer to settle");
      this.counts.lost++;
    } else if (life === this.life) {
      this.counts.lost += Math.max(0, answer.pushed - life.pushes.next);
    }
  }

  // Adds a finished connection's ledgers to the session's counts.
  close() {
    const { life, counts } = this;
    this.life = null;
    if (!life) return;
    for (const ledger of [life.acks, life.pushes]) {
      counts.doubled += ledger.doubled;
      counts.reordered += ledger.reordered;
      counts.corrupt += ledger.corrupt;
      counts.lost += ledger.lost();
    }
  }

  report() {
    const sums = { ...this.counts };
    for (const ledger of this.life ? [this.life.acks, this.life.pushes] : []) {
      sums.doubled += ledger.doubled;
      sums.reordered += ledger.reordered;
      sums.corrupt += ledger.corrupt;
      sums.lost += ledger.lost();
    }
    const { name, mode, sids, nodes, events, transport } = this;
    return { name, mode, sids, nodes, events, transport, connected: this.socket.connected, idle: !!this.idle, ...sums };
  }
}
