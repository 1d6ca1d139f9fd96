package affinity

// Rights are the commands that a user of Redis needs for all that replicas do there, as ACL SETUSER takes them: docs/redis.md says what else
// some need.
const Rights = "+ping +get +set +del +pttl +incrby +pexpire +info +hget +hgetall +hkeys +hset +hsetnx +hdel +hincrby +sadd +spop +rpush +lrange +expire +multi +exec"

// GrantRights says what to do about a user who lacks one.
const GrantRights = "let the user have " + Rights + ", in a Cluster +cluster|slots too, and all keys that begin with affinity.prefix, as ~sidway:*"
