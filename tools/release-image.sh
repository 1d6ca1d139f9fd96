#!/usr/bin/env bash
# Loads the image of a release into the Docker engine that is there, and runs it: release-image.sh DIRECTORY
set -euo pipefail
image=$(docker load --quiet --input "$(echo "$1"/*_image_"$(dpkg --print-architecture)".tar)" | sed 's/^Loaded image: //')
docker run --rm "$image" version | grep -F "sidway ${image##*:}"
replica=$(docker run --detach --read-only --cap-drop ALL --env SIDWAY_NODES=n1=http://127.0.0.1:3001 "$image")
trap 'docker rm --force "$replica" >/dev/null; docker rmi "$image" >/dev/null' EXIT
for _ in $(seq 60); do
	! docker exec "$replica" sidway health >/dev/null 2>&1 || break
	sleep 0.5
done
docker exec "$replica" sidway health || { docker logs "$replica" >&2; exit 1; }
docker inspect --format '{{.Config.User}} {{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.ExposedPorts}} {{.Config.Labels}}' "$image"
docker stop --time 45 "$replica" >/dev/null
[ "$(docker inspect --format '{{.State.ExitCode}}' "$replica")" = 0 ] || { docker logs "$replica" >&2; exit 1; }
echo "release-image: ok"
