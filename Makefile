# The index of everything that can be done here. Each goal is a command or two that also works by hand.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PREFIX  ?= /usr/local
DESTDIR ?=
export CGO_ENABLED ?= 0

MODULE   := github.com/slipway-engine/slipway
STAGES   := $(notdir $(wildcard stages/0*))
COMMANDS := $(wildcard stages/*/cmd/*)
LDFLAGS  := -s -w
# The runtime begins before Go does: stages/04-ocispec/entry/entry.go. Without the flag it works the same, later.
ENTRY_amd64 := $() -E $(MODULE)/stages/04-ocispec/entry.entry
COURSE   := .cache/course
TOOLS    := .cache/tools

# `make stage-3 test` is two goals: the first chooses, the second acts.
CHOSEN := $(patsubst stage-%,%,$(filter stage-%,$(MAKECMDGOALS)))

.PHONY: help build test lint demo up down install doctor course interop vm docs start clean $(patsubst %,stage-%,1 2 3 4 5 6 7)

help: ## list the goals
	@grep -hE '^[a-z][a-z0-9%-]*:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo "  make stage-N test|demo|start    the same for one stage, N from 1 to 7"

build: ## all programs, static, into bin/
	@mkdir -p bin
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./stages/07-daemon/cmd/slipway-toolbox
	go build -trimpath -ldflags '$(LDFLAGS)$(ENTRY_$(shell go env GOARCH))' -o bin/ ./stages/04-ocispec/cmd/slipway-runtime
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(addprefix ./,$(filter-out %/slipway-toolbox %/slipway-runtime,$(COMMANDS)))

test: $(if $(filter 1 2 3,$(CHOSEN)),,build) $(if $(CHOSEN),,lint) $(COURSE) ## build, lint, and run every test (as root; else what needs root is skipped and counted); VM=1: in a VM with cgroup v2; VM=systemd: with systemd, too; ONLY=./cmd/...: these packages; RUN=Step: these tests
	@$(COURSE) test $(if $(VM),--vm=$(VM)) $(if $(ONLY),--only=$(ONLY)) $(if $(RUN),--run='$(RUN)') $(CHOSEN)

# go looks itself whether there is something to build.
.PHONY: $(COURSE)
$(COURSE):
	@go build -trimpath -o $@ ./course/cmd/course

lint: $(TOOLS)/staticcheck ## gofumpt, go vet, staticcheck
	@bad=$$($(TOOLS)/gofumpt -l stages course); [ -z "$$bad" ] || { echo "gofumpt would change:"; echo "$$bad"; exit 1; }
	go vet work
	@for m in stages/* course; do (cd $$m && ../$$([ $$m = course ] || echo ../)$(TOOLS)/staticcheck ./...) || exit 1; done
	@for m in stages/* course; do (cd $$m && GOWORK=off go build ./... && GOWORK=off go mod verify >/dev/null) || exit 1; done

$(TOOLS)/staticcheck: .ci/tools/go.mod
	@mkdir -p $(TOOLS)
	cd .ci/tools && GOWORK=off GOBIN=$(CURDIR)/$(TOOLS) go install tool

demo: build $(COURSE) ## the main job in a minute: an engine, two containers, SIGKILL, and everything adopted again; PAUSE=1 waits for a key between scenes
	@$(COURSE) demo $(if $(PAUSE),--pause) $(if $(CHOSEN),stage-$(CHOSEN),engine)

up: build ## run the engine for real, on the host's network
	@stages/07-daemon/dist/engine up

down: ## stop it; containers are stopped too
	@stages/07-daemon/dist/engine down

install: build $(COURSE) ## programs, completions, man pages, systemd unit (PREFIX, DESTDIR)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 0755 bin/* $(DESTDIR)$(PREFIX)/bin/
	$(COURSE) man bin $(DESTDIR)$(PREFIX)/share/man
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	bin/slipway completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/slipway
	bin/slipway completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_slipway
	bin/slipway completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/slipway.fish
	sed 's|@PREFIX@|$(PREFIX)|g' stages/07-daemon/dist/slipway.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/slipway.service

doctor: $(COURSE) ## what this machine can and cannot do, by trying, and what that means for which stage
	@$(COURSE) doctor || [ $$? = 1 ] # degraded is no failure; missing is

course: build $(COURSE) ## the proof matrix: every exercise, stub and mistake
	$(COURSE) check $(CHOSEN)

docs: build $(COURSE) ## is the book current, and does what it shows still happen? (VM=1: on cgroup v2)
	$(COURSE) docs --check
	$(if $(VM),course/vm/run -- $(COURSE) docs --run 0,$(COURSE) docs --run)

start: $(COURSE) ## with a stage: give the learner a copy of it below learn/
	@$(COURSE) start $(CHOSEN)

interop: build ## each part against the real one: docker CLI, registry, runc, containerd (installs Debian's packages)
	stages/07-daemon/interop/run

clean: ## remove what was built
	rm -rf bin .cache

# The choice itself does nothing; alone it says what can be done with it.
$(patsubst %,stage-%,1 2 3 4 5 6 7):
	@[ -n "$(filter-out stage-%,$(MAKECMDGOALS))" ] || echo "make $@ test | demo | start"
