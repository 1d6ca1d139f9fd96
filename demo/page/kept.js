// What waits to be sent, in a storage of the tab, so that it is there when the page is loaded again.

const prefix = "waiting ";
const number = (name) => Number(name.slice(prefix.length));
const encode = (bytes) => btoa(Array.from(new Uint8Array(bytes), (b) => String.fromCharCode(b)).join(""));
const decode = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;

export class Kept {
  #names = new Map(); // entry -> its name in the storage
  #next = 0;

  constructor(storage) {
    this.storage = storage;
  }

  /** load returns the entries that were kept, in their order. */
  load() {
    const names = Object.keys(this.storage).filter((name) => name.startsWith(prefix)).sort((a, b) => number(a) - number(b));
    return names.map((name) => {
      const entry = JSON.parse(this.storage.getItem(name));
      if (entry.image) entry.image = decode(entry.image);
      this.#names.set(entry, name);
      this.#next = number(name) + 1;
      return entry;
    });
  }

  add(entry) {
    const { room, key, text, image, at } = entry;
    const name = prefix + this.#next++;
    try {
      this.storage.setItem(name, JSON.stringify({ room, key, text, image: image && encode(image), at }));
      this.#names.set(entry, name);
    } catch {
      // The storage is full, and has() says so.
    }
  }

  remove(entry) {
    if (this.#names.has(entry)) this.storage.removeItem(this.#names.get(entry));
    this.#names.delete(entry);
  }

  /** has tells whether the entry will be there when the page is loaded again. */
  has(entry) {
    return this.#names.has(entry);
  }
}
