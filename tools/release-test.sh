#!/usr/bin/env bash
# Makes a release of the last commit twice, in two clones with nothing in common but Go and its modules, and compares them; then tries its packages
# on a clean Debian (release-try.sh) and its image in a Docker engine. As root on Debian. PGO=off builds in seconds what otherwise takes minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
target=linux/$(go env GOARCH)
go -C tools/release build -o "$work/release" .

make_release() { # a clone, a version, and variables
	local clone=$1 version=$2
	[ -e "$clone" ] || git clone -q . "$clone"
	SECONDS=0
	env "${@:3}" "$work/release" -root "$clone" -version "$version" -targets "$target" -pgo "${PGO:-auto}"
	echo "release-test: $version in $clone took $SECONDS s"
}
make_release "$work/one" v0.0.1
(umask 077 && make_release "$work/another/place" v0.0.1 GOCACHE="$work/cache" TZ=Pacific/Chatham LC_ALL=C GOFLAGS=-buildvcs=true)
diff "$work"/{one,another/place}/bin/v0.0.1/SHA256SUMS
(cd "$work/one/bin/v0.0.1" && sha256sum --quiet --check SHA256SUMS)
echo "release-test: the same, twice"

make_release "$work/one" v0.0.2
tools/release-try.sh "$work/one/bin/v0.0.1" "$work/one/bin/v0.0.2"
BASE_IMAGES=none tools/engine.sh tools/release-image.sh "$work/one/bin/v0.0.1"
