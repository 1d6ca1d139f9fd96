#!/usr/bin/env bash
# Runs a command with a Docker engine: engine.sh command…
# It is the one that DOCKER_HOST names or that runs here; else, as root on Debian, docker.io is installed and one started for
# as long as the command runs, with all that it keeps in bin/engine. Where base images cannot be pulled, they are made of
# this machine's own programs (base-images.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

if ! timeout 20 docker info >/dev/null 2>&1; then
	tools/deps.sh docker
	dir=$PWD/bin/engine
	mkdir -p "$dir"
	export DOCKER_HOST=unix:///run/sidway-engine.sock
	dockerd --data-root "$dir/data" --exec-root /run/sidway-engine --pidfile /run/sidway-engine.pid -H "$DOCKER_HOST" >"$dir/log" 2>&1 &
	engine=$!
	trap 'kill $engine; wait $engine || true' EXIT
	for _ in $(seq 60); do
		! docker info >/dev/null 2>&1 || break
		kill -0 $engine 2>/dev/null || { tail -5 "$dir/log" >&2; exit 1; }
		sleep 1
	done
fi
# BASE_IMAGES=none does without them. Each run makes them anew, because they hold the modules that are required now.
[ "${BASE_IMAGES:-}" = none ] || timeout 60 docker pull -q alpine:3.22 >/dev/null 2>&1 || tools/base-images.sh
"$@"
