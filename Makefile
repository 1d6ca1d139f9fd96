# make            build bin/sidway
# make test       install what the tests need, then run them with the race detector
# make lint       formatting, vet, staticcheck, go.mod, builds for Linux and darwin, and the pages' links and spelling
# make docs       write anew what is made from code: docs/configuration.md, docs/compatibility.md, sidway.example.yaml, and parts of docs/metrics.md and docs/logs.md
# make site       the documentation as a site, in site/dist: needs npm
# make site-test  each page of the site in Chromium, as wide as a desktop and as narrow as a phone
# make demo       the chat on three nodes behind two replicas; its first build takes some minutes
# make picture    the README's moving picture of the chat, recorded anew
# make soak       the chat under two minutes of faults, with 50 users
# make compose-test   docker-compose.yml and a service that is scaled, with a real Docker engine, which it starts if need be; as root
# make cgroup     a replica in cgroups with quotas; as root
# make kube       discovery by a real API server of Kubernetes, which is built first: a quarter of an hour
# make bench      sidway beside nginx, HAProxy and Caddy: three hours, and then docs/performance.md is new
# make bench-quick    what two minutes can tell
# make bench-growth   more sessions and more nodes: half an hour
# make bench-compare BASE=<revision>    this tree beside another revision, judged by benchstat: ten minutes
# make alerts     the alerts on invented figures, by promtool
# make faults     what faults cost, through sidway and HAProxy, on SEEDS=1 seeds: an hour; as root
# make faults-once    each of them once, small and through sidway, without limits of time, as CI does it: five to ten minutes; as root
# make attacks    what attacks do to live sessions: ten minutes; TLS=1 for clients by TLS
# make fuzz       every fuzz target for FUZZTIME
# make release VERSION=v1.2.3   binaries, packages, images, the chart and sums of the last commit, in bin/v1.2.3 (docs/releasing.md)
# make release-test   a release made twice is the same, and its packages and image work where nothing else is; as root
# make deps       install what the tests need (Debian; elsewhere it says what is missing)

BIN ?= bin
# PGO=off builds in seconds what otherwise takes minutes, and is some percent slower.
PGO ?= auto
FUZZTIME ?= 1m
SEEDS ?= 1
TOOL := go tool -modfile=$(CURDIR)/tools/go.mod
SOURCES = $(shell find . -name '*.go' -not -path './node_modules/*')

# The gateway, the adapter, the demo and what discovery is checked against are a module each, and so are tools. What is made here is made of one
# module alone, as those have it who require it; go.work is for commands at the top that need several, such as go run ./demo.
export GOWORK := off
MODULES := . adapter demo examples/go gateway/discover/apitest gateway/certs/acmetest deploy/metricstest deploy/test docs/test

.PHONY: build docs site site-test demo deps test picture soak lint fuzz bench bench-quick bench-growth bench-compare cgroup kube alerts faults faults-once attacks compose-test release release-test
build:
	CGO_ENABLED=0 go build -pgo=$(PGO) -o $(BIN)/ ./cmd/sidway

release:
	go -C tools/release run . -version "$(VERSION)" -pgo $(PGO)

release-test: deps
	go -C tools/release test -count=1 -timeout 20m ./...
	PGO=$(PGO) tools/release-test.sh

docs:
	go test -count=1 -run 'IsMade|AreDocumented' ./gateway/config ./gateway/replica ./e2e -update

site:
	cd site && npm ci --no-audit --no-fund && npx vitepress build

site-test: deps site
	go -C demo test -tags site -count=1 -run '^TestSite$$' -timeout 10m .

deps:
	tools/deps.sh

# What may not allocate is counted without the race detector, which makes pools forget. The last packages start clusters
# of processes and need both processors of a small machine to themselves; what those processes are made of is not known to
# go's cache of results.
test: deps
	go test -run 'Alloc|Copy' ./engineio ./affinity ./gateway ./gateway/http1 ./gateway/tunnel
	set -e; for m in $(MODULES); do (cd $$m && go test -race -timeout 10m $$(go list ./... | grep -vE '/(e2e|adapter|demo)$$')); done
	SIDWAY_TEST_TLS=1 go test -race -count=1 -timeout 10m ./gateway
	go test -race -count=1 -timeout 40m ./e2e
	E2E_TLS=1 go test -count=1 -timeout 5m -run '^TestJSONP$$|^TestClientsBringTokens$$|^TestSessions$$/^client_(4.8,_nodes_4.8|2.5,_nodes_2.5)$$' ./e2e
	go -C adapter test -race -count=1 -timeout 20m .
	go -C demo test -race -count=1 -timeout 15m .

# Nothing is said while Go builds.
demo:
	@echo "Building the demo: the first time that takes some minutes, and then it prints its address."
	GOWORK= go run ./demo

picture: deps
	tools/deps.sh picture
	go -C demo test -tags picture -count=1 -run Picture -v -timeout 10m .

soak: deps
	go -C demo test -tags soak -run TwoMinutes -v -timeout 15m .

compose-test: deps
	tools/engine.sh go -C demo test -tags compose -count=1 -run Engine -v -timeout 60m .

cgroup:
	go test -tags cgroup -run Cgroup -v ./cmd/sidway

kube:
	tools/kube.sh $(BIN)/kube
	KUBE_APISERVER=$(abspath $(BIN))/kube/kube-apiserver ETCD=$(abspath $(BIN))/kube/etcd go -C gateway/discover/apitest test -tags kube -count=1 -timeout 15m .

alerts:
	tools/deps.sh promtool
	promtool check rules deploy/prometheus/alerts.yaml
	promtool test rules deploy/prometheus/alerts_test.yaml

faults-once: deps
	go test -tags faults -count=1 -timeout 20m -v ./bench/checker

faults: deps
	go test -tags faults -count=1 -timeout 30m ./bench/checker/...
	go run ./bench/checker -full -through sidway,haproxy -seeds $(SEEDS)

attacks:
	tools/attacks.sh

# What is built here is thrown away, so it need not be fast. The adapter is built as a part of the demo.
lint: deps
	@unformatted=$$($(TOOL) gofumpt -l $(SOURCES)); test -z "$$unformatted" || { echo "not formatted by gofumpt:"; echo "$$unformatted"; exit 1; }
	set -e; for m in $(MODULES) tools/release; do (cd $$m && go mod tidy -diff && go vet ./... && $(TOOL) staticcheck ./...); done
	set -e; for m in . demo; do for os in linux darwin; do CGO_ENABLED=0 GOOS=$$os go -C $$m build -pgo=off ./...; done; done
	go -C docs/test test -count=1 -timeout 5m .

fuzz:
	tools/fuzz.sh $(FUZZTIME)

# perf counts the system calls; nothing else needs it.
bench:
	tools/deps.sh perf
	tools/newer.sh bench/out/newer
	go run ./bench -newer bench/out/newer
	go run ./bench -syscalls
	go run ./bench -traffic -newer bench/out/newer
	go run ./bench -storm
	go run ./bench -floods
	go run ./bench -tls -newer bench/out/newer
	go run ./bench -moving
	go run ./bench -growth
	go run ./bench -page docs/performance.md

bench-quick: deps
	go run ./bench -quick

bench-growth: deps
	go run ./bench -growth

bench-compare: deps
	tools/bench-compare.sh "$(BASE)"
