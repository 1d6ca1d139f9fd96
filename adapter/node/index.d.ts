import type { createAdapter as createStreamsAdapter, RedisStreamsAdapterOptions } from "@socket.io/redis-streams-adapter";

export interface RecoveryOptions extends RedisStreamsAdapterOptions {
  /**
   * The shortest time between two writes of one session, in milliseconds.
   * @default 200
   */
  persistInterval?: number;
  /**
   * How often all sessions are looked at for changes of `socket.data`, in milliseconds: a change that is younger is lost in a crash.
   * @default 2000
   */
  lookInterval?: number;
}

/**
 * Returns what `new Server({ adapter })` takes: the adapter of @socket.io/redis-streams-adapter, which keeps the sessions of
 * connected clients in Redis when the server has `connectionStateRecovery`.
 *
 * @param redisClient a client of the package `redis` or `ioredis`
 */
export function createAdapter(redisClient: any, options?: RecoveryOptions): ReturnType<typeof createStreamsAdapter>;
