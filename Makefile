# Pointsman. A bare `make` lists the targets.
#
# build, demo and test need Go only, and a redis-server binary (test: HAProxy
# too), which they install as root where it is missing. The tools of `check` and `generate`, and
# the object store that `test` starts, are built on first use from their own modfiles in test/tools,
# into bin/tools.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

GO ?= go
export GO
export CGO_ENABLED := 0

# No VCS stamp where git cannot read the repository (another owner, a tarball).
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
VCS := $(shell git status --short >/dev/null 2>&1 || echo -buildvcs=false)
BUILD := $(GO) build $(VCS) -trimpath -ldflags '-s -w -X main.release=$(VERSION)'

# Bounds on time: a test that hangs names its goroutines before CI gives up.
TIMEOUT ?= 20m
RACE_TIMEOUT ?= 20m
SIM_TIMEOUT ?= 6h
ARGS ?=

# Seeds of `make sim`, and the first of them.
SEEDS ?= 1000
FROM ?= 1

# `make sim POOLS=all` has workers with leases in each seed, not in a quarter.
POOLS ?=

TOOLS := $(CURDIR)/bin/tools
BUF := $(TOOLS)/buf
GOLANGCI := $(TOOLS)/golangci-lint
GOVULNCHECK := $(TOOLS)/govulncheck
VERSITYGW := $(TOOLS)/versitygw
PLUGINS := $(addprefix $(TOOLS)/protoc-gen-,go go-grpc grpc-gateway openapiv2)
IMAGE := proto/image.binpb

# The etcd that leases are measured beside: a module of its own.
ETCDPEER := $(CURDIR)/bin/etcdpeer

# The receiver of one PUT per request that ours is measured beside: so is this.
NAIVEPEER := $(CURDIR)/bin/naivepeer

# Runs of `make chaos`, the seed of the first (0: one of this moment), the one
# fault to play (empty: all in turn), the providers that each playground has
# besides OVH (drawn: by the seed; none; fence is one before the cutover), the leaders that are killed to measure a
# takeover, the failovers under which sixteen workers count, the time after which
# no run begins (0: none), and the file that takes the table: MATRIX=docs/guarantees.md puts it between its marks there.
RUNS ?= 30
SEED ?= 0
FAULT ?=
ALSO ?= drawn
KILLS ?= 0
MOVES ?= 20
FOR ?= 0
MATRIX ?= bin/chaos-matrix.md
CHAOS_TIMEOUT ?= 6h

# Webhooks of `make soak`, how many a second, the time from one kill to the next,
# the seed that says who is killed, and where events are kept (bucket: versitygw, dir).
EVENTS ?= 100000
RATE ?= 500
EVERY ?= 10s
SOAK_SEED ?= 1
STORE ?= bucket

# The one planted bug that `make mutants` plays (empty: all of them).
MUTANT ?=

# Packages with files that only the build tag failpoints compiles: there the
# tests kill the process at each named point.
FAILPOINTS = $(shell grep -rl --include='*.go' '^//go:build failpoints' . 2>/dev/null | xargs -r -n1 dirname | sort -u)

.PHONY: help build demo test sim chaos soak mutants check bench microbench generate notices docs docs-check bad-days image lint proto-check vuln race clean need-go need-redis need-haproxy need-gcc need-samples need-flask

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

build: need-go ## build bin/pointsman and bin/pointsman-lab
	$(BUILD) -o bin/ ./cmd/pointsman ./cmd/pointsman-lab

demo: build need-redis ## two failovers on real Redis, a leader killed in mid-deed, and the proof (ARGS=...)
	bin/pointsman-lab demo $(ARGS)

test: need-go need-redis need-haproxy need-samples $(VERSITYGW) ## all tests, then those that kill the process at each named point
	$(GO) test $(VCS) -timeout $(TIMEOUT) ./...
	$(if $(FAILPOINTS),$(GO) test $(VCS) -timeout $(TIMEOUT) -tags failpoints $(FAILPOINTS))

sim: need-go ## whole clusters in virtual time under seeded faults (SEEDS=10000 FROM=1 POOLS=all)
	@mkdir -p bin
	$(GO) test $(VCS) -c -o bin/sim.test ./test/sim
	cd test/sim && ../../bin/sim.test -test.run '^TestSim$$' -test.timeout $(SIM_TIMEOUT) -sim.seeds=$(SEEDS) -sim.from=$(FROM)$(if $(POOLS), -sim.pools)

chaos: need-go need-redis need-haproxy ## failovers on real processes under real faults (RUNS=30 SEED=... FAULT="leader killed" ALSO=http,haproxy KILLS=60 MOVES=20 MATRIX=FILE)
	@mkdir -p bin
	$(GO) test $(VCS) ./test/chaos -run '^Test($(if $(filter-out 0,$(RUNS)),Chaos)$(if $(FAULT),,|PausedLeaderReads$(if $(filter-out 0,$(MOVES)),|LeaseWorkers|LeaseCounter|Recovered))$(if $(filter-out 0,$(KILLS)),|Takeover))$$' -v -timeout $(CHAOS_TIMEOUT) -chaos.runs=$(RUNS) -chaos.for=$(FOR) -chaos.seed=$(SEED) -chaos.fault="$(FAULT)" -chaos.also="$(ALSO)" -chaos.pauses=40 -chaos.kills=$(KILLS) -chaos.moves=$(MOVES) -chaos.matrix=$(abspath $(MATRIX))

soak: build need-redis $(if $(filter bucket,$(STORE)),$(VERSITYGW)) ## webhooks from end to end while what carries them is killed (EVENTS=100000 RATE=500 EVERY=10s SOAK_SEED=1 STORE=dir)
	PATH="$(TOOLS):$$PATH" $(GO) run $(VCS) ./test/soak -pointsman bin/pointsman -events $(EVENTS) -rate $(RATE) -every $(EVERY) -seed $(SOAK_SEED) -store $(STORE)

mutants: need-go need-redis ## take each guard out in turn: some test must miss it (MUTANT=skip-window)
	$(GO) run $(VCS) ./test/mutants -only '$(MUTANT)'

check: build ## what must hold before a merge: vet, layout, generated code, lint, race, known vulnerabilities
	$(GO) vet ./...
	$(GO) vet -tags failpoints ./...
	$(GO) vet -tags mutants ./...
	$(GO) test $(VCS) ./test/layout/...
	@$(MAKE) proto-check docs-check lint
	$(GO) run ./test/layout/notices -check
	@$(MAKE) race vuln

bench: build need-redis need-haproxy $(VERSITYGW) ## measure against the common recipes and etcd, in one run (ARGS="-parts switches -switches 5")
	@$(MAKE) $(ETCDPEER) || echo "test/bench/etcdpeer cannot be built: the figures of etcd are left out" >&2
	@$(MAKE) $(NAIVEPEER) || echo "test/bench/naivepeer cannot be built: its figures are left out" >&2
	@$(MAKE) need-flask || echo "the receiver in Flask is left out" >&2
	PATH="$(TOOLS):$$PATH" $(GO) run $(VCS) ./test/bench -pointsman bin/pointsman $$(test ! -x $(ETCDPEER) || echo -etcd $(ETCDPEER)) \
		$$(test ! -x $(NAIVEPEER) || echo -naive $(NAIVEPEER)) $(ARGS)

microbench: need-go need-redis ## run the Go benchmarks of the packages
	$(GO) test $(VCS) -run '^$$' -bench . -benchmem -timeout $(RACE_TIMEOUT) ./...

generate: need-go $(BUF) $(PLUGINS) ## write the Go code and the OpenAPI document of the .proto files anew
	PATH="$(TOOLS):$$PATH" $(BUF) format -w
	PATH="$(TOOLS):$$PATH" $(BUF) generate

notices: need-go ## write THIRD_PARTY_NOTICES.md anew
	$(GO) run ./test/layout/notices

# The comments of the .proto files that `pointsman config schema` shows.
COMMENTS := cmd/pointsman/internal/schema/comments.json

docs: need-go $(BUF) ## write docs/cli.md, api.md, config.md and errors.md anew
	$(BUF) build -o - | $(GO) run $(VCS) ./cmd/pointsman/internal/gendocs -out docs -comments $(COMMENTS)

bad-days: need-go ## write the tables of docs/targets/bad-days.md anew, from what is tried
	WRITE_DOCS=1 $(GO) test ./actuators/... -run 'TestBadDays|TestDaysOfTheNetwork'

# docs/metrics.md is held against what is registered by tests of api and coordinator.
docs-check: need-go $(BUF)
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(BUF) build -o - | $(GO) run $(VCS) ./cmd/pointsman/internal/gendocs -out "$$fresh" -comments "$$fresh/comments.json"; \
	cmp "$$fresh/comments.json" $(COMMENTS) || { echo "$(COMMENTS) is not current; run: make docs" >&2; exit 1; }; \
	for page in "$$fresh"/*.md; do \
		cmp "$$page" docs/$$(basename "$$page") || { echo "docs/$$(basename "$$page") is not current; run: make docs" >&2; exit 1; }; \
	done

image: need-go $(BUF) ## make today's .proto files the ones that `check` compares with (at a release)
	$(BUF) build proto --exclude-source-info -o $(IMAGE)

proto-check: need-go $(BUF) $(PLUGINS)
	$(BUF) lint
	$(BUF) format --diff --exit-code
	$(BUF) breaking proto --against $(IMAGE)
	PATH="$(TOOLS):$$PATH" test/tools/generated.sh

lint: need-go $(GOLANGCI)
	$(GOLANGCI) run ./...
	$(GOLANGCI) run --build-tags mutants ./internal/planted/...

race: need-go need-redis need-haproxy need-gcc need-samples $(VERSITYGW)
	CGO_ENABLED=1 $(GO) test $(VCS) -race -timeout $(RACE_TIMEOUT) ./...

vuln: need-go $(GOVULNCHECK)
	@test/tools/vulncheck.sh $(GOVULNCHECK)

clean: ## remove what was built
	rm -rf bin

need-go need-redis need-haproxy need-gcc need-flask: need-%:
	@test/tools/need.sh $*

need-samples:
	@test/tools/need.sh php curl jq apps

$(ETCDPEER): $(addprefix test/bench/etcdpeer/,go.mod go.sum main.go) | need-go
	cd test/bench/etcdpeer && $(GO) build -trimpath -ldflags '-s -w' -o $@ .

$(NAIVEPEER): $(addprefix test/bench/naivepeer/,go.mod go.sum main.go) | need-go
	cd test/bench/naivepeer && $(GO) build -trimpath -ldflags '-s -w' -o $@ .

# Tools: rebuilt when their modfile changes. `make bin/tools/NAME` names the same file.
bin/tools/%: $(TOOLS)/% ;

$(BUF): test/tools/buf/go.mod test/tools/buf/go.sum | need-go
	cd test/tools/buf && $(GO) build -trimpath -o $@ github.com/bufbuild/buf/cmd/buf

$(TOOLS)/protoc-gen-go: test/tools/protoc/go.mod test/tools/protoc/go.sum | need-go
	cd test/tools/protoc && $(GO) build -trimpath -o $@ google.golang.org/protobuf/cmd/protoc-gen-go

$(TOOLS)/protoc-gen-go-grpc: test/tools/protoc/go.mod test/tools/protoc/go.sum | need-go
	cd test/tools/protoc && $(GO) build -trimpath -o $@ google.golang.org/grpc/cmd/protoc-gen-go-grpc

$(TOOLS)/protoc-gen-grpc-gateway $(TOOLS)/protoc-gen-openapiv2: test/tools/protoc/go.mod test/tools/protoc/go.sum | need-go
	cd test/tools/protoc && $(GO) build -trimpath -o $@ github.com/grpc-ecosystem/grpc-gateway/v2/$(@F)

$(GOLANGCI): test/tools/golangci-lint/go.mod test/tools/golangci-lint/go.sum | need-go
	cd test/tools/golangci-lint && $(GO) build -trimpath -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(GOVULNCHECK): test/tools/govulncheck/go.mod test/tools/govulncheck/go.sum | need-go
	cd test/tools/govulncheck && $(GO) build -trimpath -o $@ golang.org/x/vuln/cmd/govulncheck

$(VERSITYGW): test/tools/versitygw/go.mod test/tools/versitygw/go.sum | need-go
	cd test/tools/versitygw && $(GO) build -trimpath -ldflags '-s -w' -o $@ github.com/versity/versitygw/cmd/versitygw
