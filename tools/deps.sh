#!/usr/bin/env bash
# Installs what the tests and the benchmarks need beside Go: a Redis server, Node.js with npm, Python with python-socketio, Chromium,
# HAProxy (the demo's file for it is tried, too), nginx, Caddy, systemd's tools, groff, OpenSSL, hunspell with British English, a C
# compiler for the race detector, and the npm packages of package-lock.json;
# "deps.sh perf" also perf, which counts system calls, "deps.sh promtool" Prometheus, "deps.sh attacks" slowhttptest and curl, and
# "deps.sh release" debootstrap and systemd-nspawn, "deps.sh picture" img2webp, "deps.sh docker" an engine. What is there is left alone, and no service
# is started.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
have() { command -v "$1" >/dev/null 2>&1; }
have redis-server || packages+=(redis-server)
have node || packages+=(nodejs)
have npm || packages+=(npm)
have chromium || packages+=(chromium)
have haproxy || packages+=(haproxy)
have nginx || packages+=(nginx)
[ -e /usr/lib/nginx/modules/ngx_stream_module.so ] || packages+=(libnginx-mod-stream)
have caddy || packages+=(caddy)
have systemd-analyze || packages+=(systemd)
have groff || packages+=(groff-base)
have openssl || packages+=(openssl)
have hunspell || packages+=(hunspell)
[ -e /usr/share/hunspell/en_GB.dic ] || packages+=(hunspell-en-gb)
/usr/bin/python3 -c 'import aiohttp, redis, socketio' 2>/dev/null || packages+=(python3-socketio python3-aiohttp python3-redis)
[ "${1:-}" != perf ] || have perf || packages+=(linux-perf)
[ "${1:-}" != promtool ] || have promtool || packages+=(prometheus)
[ "${1:-}" != attacks ] || have slowhttptest || packages+=(slowhttptest)
[ "${1:-}" != attacks ] || have curl || packages+=(curl)
[ "${1:-}" != release ] || have debootstrap || packages+=(debootstrap)
[ "${1:-}" != release ] || have systemd-nspawn || packages+=(systemd-container)
[ "${1:-}" != picture ] || have img2webp || packages+=(webp)
[ "${1:-}" != docker ] || have dockerd || packages+=(docker.io iptables)
echo '#include <stdlib.h>' | gcc -E -x c - >/dev/null 2>&1 || packages+=(gcc libc6-dev)

install() {
	if ! have apt-get; then
		echo "deps: this is not Debian; please install: $*" >&2
		exit 1
	fi
	local root=()
	[ "$(id -u)" = 0 ] || root=(sudo)
	# Debian starts a service when its package is installed, unless policy-rc.d says no.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		trap '"${root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
		"${root[@]}" chmod 755 /usr/sbin/policy-rc.d
	fi
	"${root[@]}" apt-get update -qq
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}
[ ${#packages[@]} = 0 ] || install "${packages[@]}"

# npm writes this file last, so an interrupted installation is done again.
installed=node_modules/.package-lock.json
if [ ! -e $installed ] || [ package-lock.json -nt $installed ]; then
	npm ci --no-audit --no-fund --ignore-scripts
	touch $installed
fi
