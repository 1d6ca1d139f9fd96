// What is said of a fault when it is over: only what was measured, and what follows from how things work.

const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
export const span = (ms) => (ms < 9_950 ? (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`) : `${Math.round(ms / 1000)} s`);

/** connection says what became of it. */
function connection({ disconnects, away, longest }) {
  if (disconnects && !away) return "Your connection is gone.";
  return disconnects ? `Your connection was gone for ${span(away)}.` : `Your connection was kept; the longest wait for an answer was ${span(longest)}.`;
}

/** messages says what became of the room's messages. One that was sent again because its answer was lost may come twice, and is shown once. */
export function messages({ total, doubled, fetched, gaps }, kept) {
  if (!total) return "";
  const lost = `${gaps} of ${many(total, "message")} lost`;
  if (fetched) return `${lost}; ${fetched} had to be fetched from the room's log.`;
  return kept && !doubled ? `${lost}, each came once.` : `${lost}.`;
}

const stays = {
  absent: "No replica knows the session any more.",
  busy: "Something was under way all the time.",
  refused: "No other node took it.",
  no_barrier: "The old node did not answer in time.",
  no_redis: "Redis did not answer.",
};

/** move tells of a session's move; move is the event that the launcher noted, null if there is none. */
function move(move, watch) {
  if (!move) return "Nobody says what became of the move.";
  if (stays[move.outcome]) return `Not moved: ${stays[move.outcome]}`;
  if (move.outcome === "moved") return `Moved from ${move.from} to ${move.to} in ${span(move.took)}. ${connection(watch)}`;
  if (move.outcome === "renewed") return `${move.to} did not know the session and began it anew. ${connection(watch)}`;
  return `The move failed (${move.outcome}). ${connection(watch)}`;
}

// What other ways to keep sessions on their nodes would have done, as far as that follows from how they work.
const others = {
  "kill-node": "With cookies or ip_hash it would have ended with the node: such a balancer passes connections on and cannot give one to another node.",
  ended: "With cookies or ip_hash it is the same at best: the session was on its node alone.",
  "drain-node": "With cookies or ip_hash a drained node keeps its sessions until they end, or cuts them.",
  "restart-replica": "A balancer with its table in memory alone would have forgotten every session's node.",
  "stop-redis": "Replicas went on with what they had seen; only messages had to wait.",
};

/** verdict puts it into words: what was measured, and how it would have been otherwise. fault is {what, name, event, held}; watch what was measured (see watch.js). */
export function verdict({ what, name, event, held }, watch) {
  const { from, disconnects } = watch;
  const to = watch.chat.node;
  const at = to === from ? `You are on ${to} still.` : `You are on ${to} now.`;
  const moved = to !== from;
  const said = {
    "move-session": () => move(event, watch),
    "drain-node": () => `${name} is drained${moved ? `: your session moved to ${to}.` : `. ${at}`} ${connection(watch)}`,
    "kill-node": () => (watch.away ? `${name} died; you were back on ${to} after ${span(watch.away)}.` : `${name} died. ${at} ${connection(watch)}`),
    "restart-replica": () => `${name} restarted. ${connection(watch)} ${at}`,
    "stop-redis": () => `Redis was away for ${span(watch.seconds * 1000)} and is back. ${connection(watch)}`,
    cut: () => `${connection(watch)} ${at}`,
  }[what]();
  const late = held ? "" : " It is not over yet.";
  const otherwise = what === "kill-node" ? (disconnects ? others.ended : moved && others[what]) : others[what];
  return [[said + late, messages(watch.messages(), !disconnects)].filter(Boolean).join(" "), (held && otherwise) || ""];
}
