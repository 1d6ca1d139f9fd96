#!/usr/bin/env bash
# Runs every fuzz target for a while: fuzz.sh [time], 20s each if left out.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT

for dir in $(grep -rl --include='*_test.go' --exclude-dir=node_modules '^func Fuzz' . | xargs -n 1 dirname | sort -u); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$dir"/*_test.go); do
		echo "$dir $target"
		# go test may call its own deadline a failure ("context deadline exceeded") when an input is under way as the time
		# ends. A failure of the target always writes its input, or fails in the seeds before any fuzzing.
		if ! go -C "$dir" test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-20s}" -fuzzminimizetime 10x . >"$out" 2>&1; then
			if grep -q 'Failing input written' "$out" || ! grep -q '^ *context deadline exceeded$' "$out"; then
				cat "$out"
				exit 1
			fi
		fi
		grep '^fuzz: elapsed' "$out" | tail -n 1 || true
	done
done
