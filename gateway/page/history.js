// What was so in the last minutes: statuses come once a second, and a rate is the difference of two of them.

const room = 300; // values of a chart
const rateOver = 5; // seconds

/** History keeps, of each thing by its name, the values of the last minutes. */
export class History {
  #times = [];
  #values = new Map();

  /** add takes the values of one moment: {name: value}. What is named no more is forgotten. */
  add(time, values) {
    this.#times.push(time);
    if (this.#times.length > room + rateOver) this.#times.shift();
    const length = this.#times.length;
    for (const [name, value] of Object.entries(values)) {
      let all = this.#values.get(name);
      if (!all) this.#values.set(name, (all = []));
      while (all.length < length - 1) all.unshift(null); // it is new
      all.push(value);
      if (all.length > length) all.shift();
    }
    for (const name of this.#values.keys()) {
      if (!(name in values)) this.#values.delete(name);
    }
  }

  clear() {
    this.#times = [];
    this.#values.clear();
  }

  /** values returns what a thing was. */
  values(name) {
    return (this.#values.get(name) ?? []).filter((v) => v !== null).slice(-room);
  }

  /** rates returns what a total grew by per second. */
  rates(name) {
    const all = this.#values.get(name) ?? [];
    const rates = [];
    for (let i = Math.max(1, all.length - room); i < all.length; i++) rates.push(this.#rateAt(all, i));
    return rates;
  }

  /** rate returns what a total grows by per second now. */
  rate(name) {
    const all = this.#values.get(name) ?? [];
    return all.length > 1 ? this.#rateAt(all, all.length - 1) : 0;
  }

  /** grown returns what a total grew by since the oldest value that is known. */
  grown(name) {
    const all = this.#values.get(name) ?? [];
    return all.length ? Math.max(0, all.at(-1) - all[0]) : 0; // what was not there was 0
  }

  /** seconds returns how long ago the oldest value was. */
  seconds() {
    return this.#times.length ? (this.#times.at(-1) - this.#times[0]) / 1000 : 0;
  }

  #rateAt(all, i) {
    const from = Math.max(0, i - rateOver);
    const seconds = (this.#times[i] - this.#times[from]) / 1000;
    return seconds > 0 ? Math.max(0, (all[i] - all[from]) / seconds) : 0;
  }
}
