#!/usr/bin/env bash
# Makes stand-ins for the base images of docker-compose.yml and its Dockerfiles out of this Debian machine's own programs,
# for a Docker engine that reaches no registry. As root, with docker.io installed and its daemon running (without systemd:
# dockerd >/tmp/dockerd.log 2>&1 &), go in $PATH, and a Go module proxy, an npm registry and Debian's packages in reach:
#
#   base-images.sh [the repository; the default is .]
#   docker compose build && docker compose up -d     (compose v2: Debian 12's docker-compose is too old for the file)
#
# Each image is busybox-static and the named programs with their libraries: no musl, no apk, and Debian's versions of
# Node.js, Redis and HAProxy. The Go modules and npm packages that the repository locks are laid into the images, so
# that its Dockerfiles build as they are and without a network.
set -euo pipefail
umask 022
repo=$(realpath "${1:-.}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Debian starts a service when its package is installed, unless policy-rc.d says no. NodeSource's nodejs has npm inside.
packages=(busybox-static ca-certificates redis-server haproxy)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		trap 'rm -rf "$work" /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod 755 /usr/sbin/policy-rc.d
	fi
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# put PROGRAM…: programs to where they are on this machine, with the libraries that they load.
put() {
	local file
	for file in "$@" $({ ldd "$@" 2>/dev/null || true; } | grep -o '/[^ :]*' | sort -u); do
		mkdir -p "$root$(dirname "$file")"
		cp -aL "$file" "$root$file"
	done
}

# base NAME USER:UID PROGRAM…: a new root in $root with a busybox, a user and programs.
base() {
	root=$work/$1
	local user=${2%:*} uid=${2#*:}
	shift 2
	mkdir -p "$root"/{bin,etc,root,tmp,dev,proc,sys,run,usr/bin,var/run} "$root/home/$user"
	chmod 755 "$root"
	chmod 1777 "$root/tmp"
	cp -L "$(command -v busybox)" "$root/bin/busybox"
	for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s /bin/busybox "$root/bin/$applet"; done
	ln -s /bin/busybox "$root/usr/bin/env"
	printf 'root:x:0:0::/root:/bin/sh\n%s:x:%s:%s::/home/%s:/bin/sh\n' "$user" "$uid" "$uid" "$user" >"$root/etc/passwd"
	printf 'root:x:0:\n%s:x:%s:\n' "$user" "$uid" >"$root/etc/group"
	chown "$uid:$uid" "$root/home/$user"
	[ $# = 0 ] || put "$@"
}

# script PATH LINE…
script() {
	mkdir -p "$root$(dirname "$1")"
	printf '%s\n' '#!/bin/sh' "${@:2}" >"$root$1"
	chmod 755 "$root$1"
}

# image TAG INSTRUCTION…: an image of $root, with a Dockerfile's instructions (import's own changes know no STOPSIGNAL).
image() {
	local tag=$1
	shift
	tar -C "$root" --numeric-owner -c . | docker import -m "stand-in made of Debian's packages" - "$tag" >/dev/null
	printf '%s\n' "FROM $tag" "ENV PATH=/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" "$@" |
		docker build -q -t "$tag" - >/dev/null
	chmod -R u+w "$root" && rm -rf "$root"
	docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' "$tag"
}

base alpine nobody:65534
image alpine:3.22 'CMD ["/bin/sh"]'

# The real one is built without protected mode, which would refuse other containers.
base redis redis:999 "$(command -v redis-server)" "$(command -v redis-cli)"
install -d -o 999 -g 999 "$root/data"
script /usr/local/bin/redis-server 'exec /usr/bin/redis-server "$@" --protected-mode no'
image redis:7-alpine 'USER redis' 'WORKDIR /data' 'VOLUME /data' 'EXPOSE 6379' 'CMD ["redis-server"]'

# As the real one: not root, a master and a worker, and a stop that waits for what is open.
base haproxy haproxy:99 "$(command -v haproxy)"
install -d -o 99 -g 99 "$root/var/lib/haproxy"
mkdir -p "$root/usr/local/etc/haproxy"
script /usr/local/bin/docker-entrypoint.sh '[ "$1" != haproxy ] || { shift; set -- haproxy -W -db "$@"; }' 'exec "$@"'
image haproxy:3.0-alpine 'USER haproxy' 'WORKDIR /var/lib/haproxy' 'STOPSIGNAL SIGUSR1' \
	'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]'

# npm is one folder with NodeSource, and many with Debian, whose node has parts of itself there, too.
base node node:1000 "$(command -v node)"
for folder in /usr/lib/node_modules/npm /usr/share/nodejs /usr/share/node_modules /usr/lib/nodejs "/usr/lib/$(uname -m)-linux-gnu/nodejs"; do
	[ ! -d "$folder" ] || { mkdir -p "$root$(dirname "$folder")" && cp -a "$folder" "$root$folder"; }
done
ln -s "$(readlink -f "$(command -v npm)")" "$root/usr/bin/npm"
mkdir "$work/npm"
cp "$repo"/demo/node/package*.json "$work/npm"
(cd "$work/npm" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --cache "$root/root/.npm" >/dev/null)
chown -R 0:0 "$root/root"
image node:22-alpine 'ENV npm_config_offline=true npm_config_update_notifier=false' 'CMD ["node"]'

base golang nobody:65534 "$(go env GOROOT)/bin/go"
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
goroot=$(go env GOROOT)
mkdir -p "$root/usr/local/go"
tar -C "$goroot" -c --exclude=./test --exclude=./api --exclude=./doc . | tar -C "$root/usr/local/go" -x
proxy="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)"
for module in . demo; do
	GOWORK=off GOFLAGS=-modcacherw GOMODCACHE=$root/go/pkg/mod GOPROXY=$proxy go -C "$repo/$module" mod download
done
image golang:1.26-alpine 'ENV GOPATH=/go GOTOOLCHAIN=local GOPROXY=off' 'WORKDIR /go' 'CMD ["/bin/sh"]'
