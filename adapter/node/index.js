"use strict";
const streams = require("@socket.io/redis-streams-adapter");
const { Keeper } = require("./keeper");
const { Returning } = require("./returning");

/** createAdapter takes what createAdapter of @socket.io/redis-streams-adapter takes; see index.d.ts for what it takes besides. */
function createAdapter(redisClient, options) {
  const settings = { sessionKeyPrefix: "sio:session:", persistInterval: 200, lookInterval: 2000, ...options };
  const build = streams.createAdapter(redisClient, options);
  // Not an arrow function: Socket.IO calls it with new.
  return function (nsp) {
    const adapter = build(nsp);
    if (nsp.server.opts.connectionStateRecovery) {
      const keeper = new Keeper(adapter, redisClient, settings);
      new Returning(adapter, redisClient, keeper);
    }
    return adapter;
  };
}

module.exports = { createAdapter };
