#!/usr/bin/env bash
# Fetches nginx and HAProxy of another Debian, by default 13, with the libraries that they need, and leaves in a folder programs that run
# with them: "tools/newer.sh /tmp/newer; go run ./bench -newer /tmp/newer". Nothing is installed. It needs Debian's apt and its keys.
set -euo pipefail
dir=${1:?where to}
suite=${2:-trixie}
mkdir -p "$dir/lists/partial" "$dir/debs" "$dir/root"
dir=$(cd "$dir" && pwd)

echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" >"$dir/sources.list"
apt() {
	apt-get -qq -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$dir/lists" \
		-o Dir::State::status=/dev/null -o APT::Sandbox::User="$(id -un)" "$@"
}
apt update
# With nothing installed, as far as apt knows, it names all that they need.
mapfile -t packages < <(apt --print-uris --no-install-recommends install nginx haproxy | sed -n "s/^'.*' \([^_]*\)_.*/\1/p" |
	grep -E '^(nginx|haproxy|lib.*|zlib1g)$')
(cd "$dir/debs" && apt download "${packages[@]}")
for deb in "$dir"/debs/*.deb; do
	dpkg -x "$deb" "$dir/root"
done
for program in nginx haproxy; do
	cat >"$dir/$program" <<-END
		#!/bin/sh
		exec "$dir/root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$dir/root/usr/lib/x86_64-linux-gnu" "$dir/root/usr/sbin/$program" "\$@"
	END
	chmod +x "$dir/$program"
	"$dir/$program" -v
done
