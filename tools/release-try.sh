#!/usr/bin/env bash
# Tries the deb and the rpm of a release on a Debian that has booted for it, and nothing of the tree: release-try.sh DIRECTORY NEXT, where NEXT
# has the same of a later version. As root on Debian; it takes a minute, and the first time as long as debootstrap takes.
set -euo pipefail
now=$(realpath "$1") next=$(realpath "$2") arch=$(dpkg --print-architecture)
cd "$(dirname "$0")/.."
tools/deps.sh release
base=$PWD/bin/try/bookworm
if [ ! -e "$base/etc/debian_version" ]; then
	rm -rf "$base.new" && mkdir -p "$base.new"
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,man-db,rpm bookworm "$base.new" >"$base.log" || { tail "$base.log" >&2; exit 1; }
	mv "$base.new" "$base"
fi

# Each run has the same root, with what it changes in memory, a network of its own, and cgroups as any system of today, whatever this one has.
work=$(mktemp -d)
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --register=no --keep-unit --quiet --private-network --volatile=overlay --directory "$base" --bind-ro "$now:/now" --bind-ro "$next:/next" \
	--boot --console=pipe </dev/null >"$work/console" 2>&1 &
nspawn=$! client=
trap 'kill $client $nspawn 2>/dev/null; wait; rm -rf "$work"' EXIT
fail() {
	echo "release-try: $format: $*" >&2
	inside journalctl --no-pager -u sidway 2>/dev/null | tail -20 >&2
	exit 1
}
until machine=$(pgrep -P $nspawn -x systemd) && [ -e "/proc/$machine/root/run/systemd/private" ]; do
	kill -0 $nspawn || { cat "$work/console" >&2; exit 1; }
	sleep 0.5
done
inside() { nsenter --target "$machine" --all env --chdir=/ -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@" </dev/null; }
inside systemctl is-system-running --wait >/dev/null || true
pid() { inside systemctl show --property MainPID --value sidway; }
files() { inside find /etc /usr /var /opt /srv -xdev ! -path '/var/lib/dpkg/*' ! -path '/var/lib/rpm/*' ! -path '/var/log/*' ! -path '/var/cache/*' ! -path '/var/tmp/*' | sort; }

try() { # how to install, and to remove for good
	local install=$1 remove=$2 version said older newer
	files >"$work/before"
	inside sh -c "$install /now/$package"
	version=$(inside sidway version)
	echo "$version"
	[[ $version == "sidway v"* ]] || fail "it says $version"
	inside sidway check --config /etc/sidway/sidway.yaml >/dev/null
	inside man -w sidway >/dev/null || fail "no manual page"
	inside bash -c 'source /usr/share/bash-completion/completions/sidway && complete -p sidway' >/dev/null || fail "bash completes nothing"
	said=$(inside systemd-analyze verify /usr/lib/systemd/system/sidway.service /usr/lib/systemd/system/sidway.socket 2>&1) && [ -z "$said" ] || fail "$said"
	! inside systemctl --quiet is-active sidway || fail "it was started by its installation"
	! inside systemctl --quiet is-enabled sidway || fail "it was enabled by its installation"

	# The nodes are outside: only their network is the machine's.
	nsenter --target "$machine" --net node tools/release-client.mjs >"$work/clients" &
	client=$!
	inside systemctl enable --quiet --now sidway
	inside sidway health >/dev/null || fail "it is not ready"
	sleep 3
	inside sh -c 'echo "# by an operator" >>/etc/sidway/sidway.yaml'
	inside systemctl reload sidway || fail "no reload"

	older=$(pid)
	inside sh -c "$install /next/$following"
	for _ in $(seq 60); do
		newer=$(pid)
		[ "$newer" = "$older" ] || break
		sleep 0.5
	done
	[ "$newer" != "$older" ] || fail "the upgrade handed over to nobody"
	[ "$(inside readlink "/proc/$newer/exe")" = /usr/bin/sidway ] || fail "the older binary runs on"
	[ "$(inside sidway version)" != "$version" ] || fail "no other version"
	inside grep -q 'by an operator' /etc/sidway/sidway.yaml || fail "the operator's settings are gone"
	sleep 35 # the older process ends its WebSockets by shutdown.deadline
	inside systemctl --quiet is-active sidway || fail "it did not outlive the older process"
	inside sidway health >/dev/null || fail "it is not ready after the upgrade"
	kill $client && wait $client || true
	cat "$work/clients"
	node -e '
		const { clients, handshakes } = JSON.parse(require("fs").readFileSync(process.argv[1]));
		const [polls, socket] = clients;
		if (handshakes.failed || handshakes.had < 100 || polls.lost || polls.echoes < 20 || socket.lost > 1 || socket.echoes < 20) process.exit(1);
	' "$work/clients" || fail "clients noticed the upgrade"

	inside systemctl --quiet is-enabled sidway || fail "the upgrade disabled it"
	inside journalctl --quiet --rotate --vacuum-time=1s
	inside sh -c "$remove"
	inside journalctl --quiet --unit sidway --output cat | grep -q 'msg=stopped' || fail "it was not ended in order"
	! inside systemctl --quiet is-active sidway 2>/dev/null || fail "it runs on after its removal"
	files | diff "$work/before" - >"$work/left" || true
	cat "$work/left"
}

format=deb package=$(basename "$now"/*_"$arch".deb) following=$(basename "$next"/*_"$arch".deb)
try 'dpkg --install' 'dpkg --purge sidway'
[ ! -s "$work/left" ] || fail "purged, and not all is gone"
rpm=$(case $arch in amd64) echo x86_64 ;; *) echo aarch64 ;; esac)
format=rpm package=$(basename "$now"/*."$rpm".rpm) following=$(basename "$next"/*."$rpm".rpm)
try 'rpm --upgrade --nodeps' 'rpm --erase sidway'
# What stays are the operator's settings and the service's state, for rpm knows no purge, and directories of other packages, which are not there.
! grep '^[<>]' "$work/left" | grep -vE '^> (/etc/sidway(/sidway.yaml.rpmsave)?|/var/lib/(private/)?sidway|/usr/share/(fish|fish/vendor_completions.d|licenses|zsh/site-functions))$' ||
	fail "erased, and something else is left than the operator's settings and the service's state"
echo "release-try: ok"
