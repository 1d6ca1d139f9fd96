#!/usr/bin/env bash
# Builds kube-apiserver and etcd from their modules into a directory: kube.sh directory. It takes two processors ten minutes.
set -euo pipefail
version=1.36.3 etcd=3.6.5
mkdir -p "$1"
out=$(cd "$1" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export GOWORK=off

build() { # a module's directory, a program's package, its name, flags of the linker
	cd "$dir/$1"
	printf 'package program\n\nimport _ "%s"\n' "$2" | sed '1i //go:build tools\n' >tools.go
	go mod tidy -e
	go build -ldflags "$4" -o "$out/$3" "$2"
}

# Kubernetes is developed in one repository and released as modules, between which its own go.mod knows only directories.
mkdir "$dir/kube" "$dir/etcd"
mod=$(cd "$dir/kube" && printf 'module kube\n' >go.mod && go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
{
	printf 'module kube\n\ngo %s\n\nrequire k8s.io/kubernetes v%s\n\n' "$(sed -n 's/^go //p' "$mod")" "$version"
	sed -n "s#^\t\(k8s.io/[a-z-]*\) => ./staging.*#replace \1 => \1 v0.${version#1.}#p" "$mod"
} >"$dir/kube/go.mod"
build kube k8s.io/kubernetes/cmd/kube-apiserver kube-apiserver "-X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${version:2:2}"

printf 'module etcd\n\ngo 1.26.0\n\nrequire go.etcd.io/etcd/server/v3 v%s\n' "$etcd" >"$dir/etcd/go.mod"
build etcd go.etcd.io/etcd/server/v3 etcd ""
