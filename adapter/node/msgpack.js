"use strict";
// The encoder of redis-streams-adapter itself, so that nodes with and without this package read each other's sessions.
const adapter = require.resolve("@socket.io/redis-streams-adapter");
module.exports = require(require.resolve("@msgpack/msgpack", { paths: [adapter] }));
