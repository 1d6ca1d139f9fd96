// Fifty guests: real sessions of this browser's own, which come into the room and say something now and then. They go with
// the tab.

const many = 50;
const apart = 40; // ms between two that come in
const talks = 2500; // ms between two messages of all of them
const words = ["Hello!", "Nice to be here.", "Which node are you on?", "I noticed nothing.", "Still here.", "Did something happen?", "All is well.", "Kill another one!"];

const key = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

export class Guests {
  #sockets = [];
  #timers = [];

  constructor(chat, io) {
    Object.assign(this, { chat, io });
  }

  get here() {
    return this.#sockets.length;
  }

  come() {
    for (let i = 0; i < many; i++) this.#timers.push(setTimeout(() => this.#enter(i + 1), i * apart));
    this.#timers.push(setInterval(() => this.#talk(), talks));
  }

  go() {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
    for (const socket of this.#sockets.splice(0)) socket.disconnect();
  }

  #enter(number) {
    const { chat } = this;
    // A browser keeps six connections to one address for requests, and hundreds for WebSockets.
    const socket = this.io({ forceNew: true, transports: ["websocket"], reconnectionDelay: 300, reconnectionDelayMax: 2000 });
    const uid = key();
    const { room } = chat;
    socket.guest = { uid, name: `Guest ${number}`, room };
    const join = async () => {
      const answer = await socket.timeout(8000).emitWithAck("join", { ...socket.guest, after: chat.log(room).last }).catch(() => null);
      if (!answer?.ok && socket.connected) setTimeout(join, 1000);
    };
    socket.on("connect", join);
    socket.on("disconnect", (reason) => reason === "io server disconnect" && setTimeout(() => socket.connect(), 500));
    this.#sockets.push(socket);
  }

  #talk() {
    const connected = this.#sockets.filter((s) => s.connected);
    const socket = connected[Math.floor(Math.random() * connected.length)];
    socket?.emit("message", { room: socket.guest.room, key: key(), text: words[Math.floor(Math.random() * words.length)] });
  }
}
