// Scripted users of the chat, with the page's own client. The one argument is JSON: {url, users, rooms, polling (how many
// of them poll only), group (what their names and rooms begin with)}. It obeys lines of JSON on stdin and answers each with one:
//   enter            all come in; answers when all are in their rooms
//   talk {pace}      each says something every `pace` milliseconds, from now on
//   hush             nobody says anything more; answers when everything said is in the log
//   settle           answers when every member has everything, and all that was said is known as delivered
//   say {user, text} one says something
//   act {what, name} the first user presses a button of the panel; answers when a node has done it
//   state            what the panel shows of the cluster
//   where            the node and the replica of each, and how often it was cut
//   picture {user, size}  one sends an image of this many bytes
//   look {user, key} one gets the image that came with a message
//   heard            how many messages came to each by themselves
//   report           what each said, what was shown as sent and as delivered, and the log that each has
//   leave            all leave, and the process ends

import { createHash, randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { Chat } from "../page/chat.js";

const { io } = createRequire(import.meta.url)("socket.io-client");
const config = { group: "", ...JSON.parse(process.argv[2]) };

class User {
  sent = new Map(); // key -> id
  delivered = new Set(); // keys that were shown as delivered at any time
  refused = [];
  count = 0;

  constructor(index) {
    this.room = `${config.group}room-${index % config.rooms}`;
    this.chat = new Chat(io, { url: config.url, uid: `${config.group}user${index}`, name: `User ${index}`, polling: index < config.polling, forceNew: true });
    this.chat.addEventListener("sent", ({ entry, id }) => {
      this.sent.set(entry.key, id);
      this.look();
    });
    this.chat.addEventListener("refused", ({ why }) => this.refused.push(why));
    this.chat.addEventListener("read", () => this.look());
    this.cuts = 0;
    this.chat.socket.on("disconnect", () => this.cuts++);
  }

  say(text = `message ${++this.count}`) {
    this.chat.say(text);
  }

  talk(pace) {
    const next = () => {
      this.say();
      this.timer = setTimeout(next, pace * (0.5 + Math.random()));
    };
    this.timer = setTimeout(next, pace * Math.random());
  }

  look() {
    for (const [key, id] of this.sent) if (!this.delivered.has(key) && this.chat.delivered(this.room, id)) this.delivered.add(key);
  }

  report() {
    return {
      room: this.room, uid: this.chat.uid, sent: Object.fromEntries(this.sent), delivered: [...this.delivered],
      refused: this.refused, transport: this.chat.transport,
      log: this.chat.log(this.room).items.map(({ message, notice }) => (notice ? { notice } : { id: message.id, key: message.key, uid: message.uid })),
    };
  }
}

const digest = (bytes) => createHash("sha256").update(Buffer.from(bytes)).digest("hex");

const users = Array.from({ length: config.users }, (_, i) => new User(i));

const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
};

const whole = (user) => {
  const ends = new Set(users.filter((u) => u.room === user.room).map((u) => u.chat.log(u.room).last));
  return ends.size === 1 && user.sent.size === user.delivered.size;
};

const commands = {
  async enter() {
    for (const user of users) user.chat.enter(user.room);
    await until(() => users.every((u) => u.chat.joined));
  },
  async talk({ pace }) {
    for (const user of users) user.talk(pace);
  },
  async hush() {
    for (const user of users) clearTimeout(user.timer);
    await until(() => users.every((u) => u.chat.outbox.entries.length === 0));
  },
  async settle() {
    await until(() => users.every(whole));
  },
  async say({ user, text }) {
    users[user].say(text);
  },
  async heard() {
    return { heard: users.map((u) => u.chat.heard.size) };
  },
  async report() {
    return { users: users.map((u) => u.report()) };
  },
  async where() {
    const seen = await Promise.all(users.map((u) => u.chat.ask("status").catch(() => ({}))));
    return { nodes: seen.map((s) => s.node ?? ""), replicas: seen.map((s) => s.replica ?? ""), cuts: users.map((u) => u.cuts) };
  },
  async picture({ user, size }) {
    const bytes = randomBytes(size);
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1").copy(bytes);
    const { chat } = users[user];
    const entry = chat.say("a picture", bytes);
    const refused = users[user].refused.length;
    await until(() => !chat.outbox.entries.includes(entry));
    return { key: entry.key, digest: digest(bytes), refused: users[user].refused.slice(refused) };
  },
  async look({ user, key }) {
    const got = await users[user].chat.image(users[user].room, key);
    return { type: got?.type ?? "", digest: got ? digest(got.data) : "" };
  },
  async act({ what, name }) {
    for (;;) {
      const answer = await users[0].chat.ask("act", { what, name }).catch(() => ({}));
      if (answer.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  },
  async state() {
    return (await users[0].chat.ask("cluster").catch(() => ({}))).state ?? {};
  },
  async leave() {
    for (const user of users) user.chat.leave();
    setTimeout(() => process.exit(0), 300);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { cmd, ...args } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify((await commands[cmd](args)) ?? {})}\n`);
}
process.exit(0);
