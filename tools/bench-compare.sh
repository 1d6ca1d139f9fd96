#!/usr/bin/env bash
# Measures this tree's sidway beside another revision's, in turn, and lets benchstat judge: bench-compare.sh <revision>
# From the environment: ROUNDS (10), ONLY (poll64,frame200,connect,idle2000) and WINDOW, the seconds of a sample (2).
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off # both sides are built of the gateway's module alone

base=${1:-}
if [ -z "$base" ]; then
	echo "bench-compare: which revision? make bench-compare BASE=<revision>" >&2
	exit 2
fi
if ! revision=$(git rev-parse --quiet --verify --end-of-options "$base^{commit}"); then
	echo "bench-compare: git knows no revision \"$base\"" >&2
	exit 2
fi

tmp=$(mktemp -d)
clean() {
	git worktree remove --force "$tmp/base" 2>/dev/null || true
	rm -rf "$tmp"
}
trap clean EXIT
trap 'exit 130' INT TERM

git worktree add --quiet --detach "$tmp/base" "$revision"
echo "bench-compare: base is $(git log -1 --format='%h %s' "$revision"), head is this tree"
(cd "$tmp/base" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$tmp/sidway-base" ./cmd/sidway)
CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$tmp/sidway-head" ./cmd/sidway

go run ./bench -sidway "base=$tmp/sidway-base,head=$tmp/sidway-head" -only "${ONLY:-poll64,frame200,connect,idle2000}" \
	-rounds "${ROUNDS:-10}" -seconds "${WINDOW:-2}" -out "$tmp/out"
go tool -modfile=tools/go.mod benchstat "base=$tmp/out/base.txt" "head=$tmp/out/head.txt"
