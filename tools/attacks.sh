#!/usr/bin/env bash
# Measures what attacks do to live sessions: attacks.sh [name…], by default all of them. Each runs beside 64 live sessions that poll 2,000
# times a second, before nodes that answer at once. The attackers stand for other machines, so they get what processor time is left
# (the idle class). From the environment: SECONDS_EACH (15), and TLS=1 for clients that come by TLS.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off
each=${SECONDS_EACH:-15}
tools/deps.sh attacks >/dev/null

tmp=$(mktemp -d)
runs() { echo "$1" >>"$tmp/pids"; }
end() {
	[ ! -e "$tmp/pids" ] || while read -r p; do kill "$p" 2>/dev/null || true; done <"$tmp/pids"
	wait 2>/dev/null || true
	rm -f "$tmp/pids"
}
trap 'end; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

CGO_ENABLED=0 go build -o "$tmp/sidway" ./cmd/sidway
go build -o "$tmp/bench" ./bench

at=127.0.0.1:24080 other=127.0.0.2:24080 admin=127.0.0.1:24090 redis=24379 scheme=http tls=
if [ "${TLS:-}" = 1 ]; then
	scheme=https tls=',"tls":"full"'
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 -keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null
fi

# begin starts Redis, nodes, of which that of the host 127.0.0.2 answers with 50 MB, and sidway with further settings.
begin() {
	redis-server --port $redis --bind 127.0.0.1 --save '' --appendonly no --loglevel warning >/dev/null &
	runs $!
	"$tmp/bench" node -listen 127.0.0.1:24001,127.0.0.1:24002 -control 127.0.0.1:24000 &
	runs $!
	chrt -i 0 node -e 'const b = Buffer.alloc(50 << 20); require("http").createServer((q, r) => r.end(b)).listen(24003, "127.0.0.1")' &
	runs $!
	{
		if [ -n "$tls" ]; then
			echo "listen: [{address: \"$at\", tls: true}, {address: \"$other\", tls: true}]"
			echo "tls: {certificates: [{cert: $tmp/cert.pem, key: $tmp/key.pem}]}"
		else
			echo "listen: [\"$at\", \"$other\"]"
		fi
		echo "admin: {listen: $admin}"
		echo "affinity: {redis: 'redis://127.0.0.1:$redis/0'$1}"
		echo "clusters:"
		echo "  - {name: big, host: 127.0.0.2, nodes: ['http://127.0.0.1:24003']}"
		echo "  - {name: live, nodes: [{name: n1, url: 'http://127.0.0.1:24001'}, {name: n2, url: 'http://127.0.0.1:24002'}]}"
	} >"$tmp/sidway.yaml"
	(ulimit -n "${2:-20000}" && exec "$tmp/sidway" serve --config "$tmp/sidway.yaml") >"$tmp/log" 2>&1 &
	sidway=$!
	runs $sidway
	until curl -s -o /dev/null "http://$admin/readyz"; do
		kill -0 $sidway || { cat "$tmp/log"; exit 1; }
		sleep 0.1
	done
}

# live opens the live sessions, begins an attack, and 5 s later has the sessions poll for a while. It prints what became of them.
live() {
	: >"$tmp/live"
	{
		echo "{\"kind\":\"poll\",\"addr\":\"$at\",\"conns\":64,\"rate\":2000,\"warmup\":1,\"seconds\":$each$tls}"
		until grep -q ready "$tmp/live"; do sleep 0.1; done
		"$@"
		sleep 5
		spent >"$tmp/spent"
		echo go
		sleep $each
		spent >>"$tmp/spent"
		sleep 3
	} | "$tmp/bench" load >"$tmp/live"
	tail -n 1 "$tmp/live" | sed -E 's/.*"ops":([0-9]+),"errors":([0-9]+).*"p50":([0-9.]+).*"p99":([0-9.]+),"p999":([0-9.]+).*/live polls: \1, failed: \2, p50 \3, p99 \4, p99.9 \5 us/'
	awk -v s="$each" 'NR == 1 {a = $1} END {printf "sidway: %d %% of a processor\n", ($1 - a) / s}' "$tmp/spent"
	sed -nE 's/.*"firsterror":"([^"]*)".*/the first failure: \1/p' "$tmp/live"
}

# spent is the processor time of sidway so far, in hundredths of a second.
spent() { awk '{print $14 + $15}' "/proc/$sidway/stat"; }
resident() { awk '/^VmRSS/ {print $2}' "/proc/$sidway/status"; }
metric() { curl -s "http://$admin/metrics" | awk -v m="$1" '$1 == m || index($1, m "{") == 1 {n += $2} END {printf "%d\n", n}'; }
slow() { chrt -i 0 slowhttptest -u "$scheme://${to:-$at}${page:-/}" -l $((each + 10)) -r 500 -c "${conns:-2000}" "$@" >"$tmp/slow" 2>&1 & runs $!; }
flood() {
	: >"$tmp/flood"
	{
		echo "{\"kind\":\"$1\",\"addr\":\"$at\",\"conns\":$2,\"rate\":$3,\"warmup\":1,\"seconds\":$4$tls}"
		until grep -q ready "$tmp/flood"; do sleep 0.1; done
		echo go
		sleep $(($4 + 3))
	} | chrt -i 0 "$tmp/bench" load >"$tmp/flood" &
	runs $!
	until grep -q ready "$tmp/flood"; do sleep 0.1; done
}

quiet() { begin ''; live true; }
headers() { begin ''; live slow -H -i 5; }
bodies() { begin ''; page=/upload live slow -B -i 5 -s 8192; }
reads() { begin ''; to=$other live slow -X -w 64 -y 512 -n 5 -z 32; }

# stall takes 50 MB a thousand times and reads nothing of it.
stall() {
	chrt -i 0 node -e '
const { connect } = require(process.argv[2] === "https" ? "tls" : "net");
for (let i = 0; i < 1000; i++) {
	const c = connect({ host: "127.0.0.1", port: +process.argv[1], rejectUnauthorized: false });
	c.on("error", () => {});
	c.write("GET /big HTTP/1.1\r\nHost: 127.0.0.2\r\n\r\n");
	c.pause();
}
setTimeout(() => {}, 1e6);' "${at#*:}" "$scheme" >/dev/null &
	runs $!
}

readers() {
	begin ''
	before=$(resident)
	live stall
	after=$(resident)
	echo "memory of each of 1,000 stalled readers: $(((after - before) / 1000)) KiB ($before -> $after KiB, $(metric sidway_connections) connections)"
}

commands() { redis-cli -p $redis info stats | tr -d '\r' | awk -F: '/^total_commands_processed/ {print $2}'; }

# unknown offers 50,000 sids a second that nobody made.
unknown() {
	begin ''
	live flood unknown 6400 50000 $((each + 12))
	before=$(commands)
	sleep 3
	echo "commands of Redis per second: $((($(commands) - before) / 3)); answered 429: $(metric 'sidway_limited_total{limit="unknown_sids",outcome="refused"}')"
}

# descriptors lets 2,000 connections come where 512 descriptors are allowed.
descriptors() {
	begin '' 512
	live slow -H -i 5
	kill "$(tail -n 1 "$tmp/pids")" 2>/dev/null || true
	began=$(date +%s%N)
	until curl -sk -o /dev/null -f "$scheme://$at/socket.io/?EIO=4&transport=polling"; do sleep 0.02; done
	echo "strangers are served again after $((($(date +%s%N) - began) / 1000000)) ms"
}

# sids makes a million sessions that are never used, while 100,000 may be remembered.
sids() {
	begin ', cache: 100000'
	before=$(resident)
	{
		echo "{\"kind\":\"poll\",\"addr\":\"$at\",\"conns\":64,\"rate\":2000,\"warmup\":1,\"seconds\":5$tls}"
		sleep 3
		made=$(metric sidway_handshakes_total)
		while [ "$(metric sidway_handshakes_total)" -lt $((made + 1000000)) ]; do
			{
				echo "{\"kind\":\"handshake\",\"addr\":\"$at\",\"conns\":64,\"warmup\":0.1,\"seconds\":10$tls}"
				sleep 0.5
				echo go
				sleep 11
			} | chrt -i 0 "$tmp/bench" load >"$tmp/flood"
		done
		echo go
		sleep 8
	} | "$tmp/bench" load | tail -n 1 | sed -E 's/.*"ops":([0-9]+),"errors":([0-9]+).*"p99":([0-9.]+).*/live polls after a million handshakes: \1, failed: \2, p99 \3 us/'
	echo "handshakes: $(metric sidway_handshakes_total), memory: $before -> $(resident) KiB, bindings held: $(metric sidway_bindings_held)"
	echo "evicted: $(metric 'sidway_bindings_total{cluster="live",outcome="evicted"}'), never used: $(metric 'sidway_bindings_total{cluster="live",outcome="evicted_unused"}'), keys in Redis: $(redis-cli -p $redis dbsize), its memory: $(redis-cli -p $redis info memory | tr -d '\r' | awk -F: '/^used_memory_human/ {print $2}')"
	for _ in $(seq 180); do [ "$(redis-cli -p $redis dbsize)" -gt 1000 ] && sleep 1; done
	echo "when they have expired: memory $(resident) KiB, bindings held: $(metric sidway_bindings_held), keys in Redis: $(redis-cli -p $redis dbsize)"
}

for name in ${*:-quiet headers bodies reads readers unknown descriptors sids}; do
	echo "== $name"
	"$name"
	end
done
