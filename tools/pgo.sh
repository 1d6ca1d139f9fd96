#!/usr/bin/env bash
# Profiles sidway under the work that it is made for and writes cmd/sidway/default.pgo, by which go build optimises it.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$dir"' EXIT

CGO_ENABLED=0 go build -pgo=off -o "$dir/sidway" ./cmd/sidway
go build -o "$dir/bench" ./bench

"$dir/bench" node -listen 127.0.0.1:17001,127.0.0.1:17002 -control 127.0.0.1:17003 &
pids+=($!)
SIDWAY_ADMIN_LISTEN=127.0.0.1:17005 SIDWAY_ADMIN_PPROF=true "$dir/sidway" serve --listen 127.0.0.1:17004 \
	--node http://127.0.0.1:17001 --node http://127.0.0.1:17002 2>"$dir/log" &
pids+=($!)
curl -sf --retry 20 --retry-connrefused --retry-delay 1 -o "$dir/ready" http://127.0.0.1:17005/readyz

for work in poll:64:0 post:64:200 page:64:0 preflight:64:0 frame:200:60 connect:32:0 handshake:64:0; do
	IFS=: read -r kind conns size <<<"$work"
	job="{\"kind\":\"$kind\",\"addr\":\"127.0.0.1:17004\",\"conns\":$conns,\"size\":$size,\"seconds\":6,\"warmup\":1}"
	(echo "$job"; sleep 3; echo go; sleep 7) | "$dir/bench" load >"$dir/$kind.json" &
	load=$!
	sleep 3
	curl -sf -o "$dir/$kind.pprof" 'http://127.0.0.1:17005/debug/pprof/profile?seconds=5'
	wait "$load"
done
go tool pprof -proto "$dir"/*.pprof >cmd/sidway/default.pgo 2>/dev/null
cat "$dir"/*.json
