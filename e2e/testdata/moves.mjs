// What a node of the rig for moves counts and publishes.

/**
 * Ups records which numbers each session sent to this node, as runs: [began, ended, first, last], in milliseconds since 1970. A run ends
 * where the next number is not the one after, or where the session comes back; whoever has the runs of all nodes can tell what was lost, doubled
 * or reordered between them.
 */
export class Ups {
  sessions = new Map();

  run(who) {
    if (!this.sessions.has(who)) this.sessions.set(who, []);
    const runs = this.sessions.get(who);
    let current = null;
    return (n) => {
      const now = performance.timeOrigin + performance.now();
      if (current && n === current[3] + 1) {
        current[1] = now;
        current[3] = n;
      } else {
        current = [now, now, n, n];
        runs.push(current);
      }
    };
  }

  report() {
    return Object.fromEntries(this.sessions);
  }
}

/**
 * Publisher sends numbered ticks without end: the even ones to all, the odd ones to each room, so that a client that is in one room
 * receives each number once. A fault falsifies each 50th: "skip", "double" or "swap" with the next.
 */
export class Publisher {
  next = 0;

  constructor(io) {
    this.io = io;
  }

  start({ rooms, period, fault }) {
    const began = performance.now();
    this.timer = setInterval(() => {
      while ((this.next + 1) * period <= performance.now() - began) this.tick(this.next++, rooms, fault);
    }, period / 4);
    return {};
  }

  tick(n, rooms, fault) {
    const at = n % 50;
    if (fault === "skip" && at === 49) return;
    const shown = fault === "swap" && at >= 48 ? n + (at === 48 ? 1 : -1) : n;
    for (let i = fault === "double" && at === 49 ? 2 : 1; i > 0; i--) {
      if (shown % 2 === 0) this.io.emit("tick", shown);
      else for (const room of rooms) this.io.to(room).emit("tick", shown);
    }
  }

  /** stop tells how many ticks there were. */
  stop() {
    clearInterval(this.timer);
    return { ticks: this.next };
  }
}
