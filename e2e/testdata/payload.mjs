// Payloads cut from one pseudo-random stock, so that each message differs from its neighbours at no cost.
const stockSize = 1 << 20;
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .,:;{}[]=&%+#";

function* words(seed) {
  for (let state = seed >>> 0; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 16;
  }
}

const { text, bytes } = (() => {
  const source = words(20240229);
  const bytes = Buffer.alloc(stockSize);
  const parts = [];
  for (let i = 0; i < stockSize; i++) {
    const word = source.next().value;
    bytes[i] = word & 0xff;
    // A character outside ASCII now and then: lengths in UTF-16 units, in code points and in bytes must differ.
    parts.push(word % 509 === 0 ? "é" : word % 997 === 0 ? "€" : letters[word % letters.length]);
  }
  return { text: parts.join(""), bytes };
})();

/** payload makes the `seq`-th message of the stream `salt`: `size` characters of text or `size` bytes. */
export function payload({ salt, seq, size, binary }) {
  const from = (salt * 7919 + seq * 104729) % (stockSize - size);
  return binary ? bytes.subarray(from, from + size) : text.slice(from, from + size);
}
