import assert from "node:assert/strict";
import { test } from "node:test";
import { Log, covers } from "../log.js";
import { Outbox } from "../outbox.js";

const message = (n, began = 100) => ({ id: `${began}-${n}`, key: `${began}k${n}` });
const page = (from, to, rest = {}) => ({
  messages: Array.from({ length: to - from + 1 }, (_, i) => message(from + i)), more: false, reset: false, ...rest,
});
const numbers = (items) => items.map((i) => (i.notice ? "!" : Number(i.message.id.split("-")[1])));

test("what overtook waits for what it overtook", () => {
  const log = new Log();
  assert.deepEqual(log.take(message(1)), { fresh: [], gap: true }); // nothing is known before the first page
  assert.deepEqual(numbers(log.fill(page(1, 3, { reset: true }))), [1, 2, 3]);
  assert.deepEqual(log.take(message(5)), { fresh: [], gap: true });
  const { fresh, gap } = log.take(message(4));
  assert.deepEqual([numbers(fresh), gap], [[4, 5], false]);
  assert.deepEqual(log.take(message(2)), { fresh: [], gap: false });
  assert.deepEqual(numbers(log.items), [1, 2, 3, 4, 5]);
});

test("a page closes a gap, with what had overtaken it", () => {
  const log = new Log();
  log.fill(page(1, 2, { reset: true }));
  log.take(message(7));
  assert.deepEqual(numbers(log.fill(page(3, 6))), [3, 4, 5, 6, 7]);
  assert.equal(log.last, "100-7");
});

test("what is no longer kept is told of", () => {
  const log = new Log();
  log.fill(page(1, 2, { reset: true }));
  assert.deepEqual(numbers(log.fill(page(9, 10))), ["!", 9, 10]);
});

test("a log that began anew keeps what was shown, once", () => {
  const log = new Log();
  log.fill(page(1, 2, { reset: true }));
  assert.equal(log.take(message(1, 200)).gap, true);
  const again = { ...message(1, 200), key: "100k2" };
  const items = log.fill({ messages: [again, message(2, 200)], more: false, reset: true });
  assert.deepEqual(items.map((i) => i.message?.key ?? "!"), ["!", "200k2"]);
  assert.equal(log.last, "200-2");
});

test("a room that was entered late has earlier messages", () => {
  const log = new Log();
  log.fill(page(101, 103, { reset: true }));
  assert.equal(log.earlier, true);
  assert.deepEqual(numbers(log.precede(page(51, 100, { more: true }))).length, 50);
  assert.equal(log.first, "100-51");
  log.precede(page(1, 50));
  assert.equal(log.earlier, false);
  assert.deepEqual(numbers(log.items), Array.from({ length: 103 }, (_, i) => i + 1));
});

test("who has a message", () => {
  assert.equal(covers("100-5", "100-5"), true);
  assert.equal(covers("100-4", "100-5"), false);
  assert.equal(covers("200-9", "100-5"), false);
  assert.equal(covers(undefined, "100-5"), false);
});

test("an outbox sends again until it is in the log, one after the other", async () => {
  const asked = [];
  const answers = [{ ok: false, retry: true, error: "away" }, null, { ok: true, id: "100-1" }, { ok: false, retry: false, error: "no" }, { ok: true, id: "100-2" }];
  let over;
  const end = new Promise((resolve) => (over = resolve));
  const done = [];
  const outbox = new Outbox({
    ready: () => true,
    ask: async (_event, { key }) => {
      asked.push(key);
      const answer = answers.shift();
      if (!answer) throw new Error("no answer");
      return answer;
    },
    changed: () => {},
    done: (entry, answer) => {
      done.push([entry.key, answer.ok]);
      if (!answers.length) over();
    },
  });
  for (const key of ["a", "b", "c"]) outbox.add({ key });
  await end;
  assert.deepEqual(asked, ["a", "a", "a", "b", "c"]);
  assert.deepEqual(done, [["a", true], ["b", false], ["c", true]]);
  assert.deepEqual(outbox.entries, []);
});
