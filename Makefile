# Everything one does with this project. Needs Go, Python 3.10 and make.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

FUNCTIONS := $(patsubst functions/%/main.go,%,$(wildcard functions/*/main.go))
PACKAGES  := ./functions/... ./shared/... ./tests/... ./events/...
GOOS      ?= linux
ARCH      ?= arm64
DIST      ?= dist
ENV       ?= dev
GOARCH    := $(if $(filter x86_64,$(ARCH)),amd64,$(ARCH))
LDFLAGS   ?= -s -w
GOBUILD    = CGO_ENABLED=0 GOOS=$(GOOS) GOARCH=$(GOARCH) go build -tags lambda.norpc -trimpath -ldflags "$(LDFLAGS)"
TEST      := go test -race -shuffle=on
SAM       := SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-eu-north-1} .local/sam-venv/bin/sam
# Any Go since 1.21 fetches the toolchain that go.mod names.
export GOTOOLCHAIN := go$(shell sed -n 's/^go //p' go.mod)
HOST_ARCH := $(patsubst aarch64,arm64,$(shell uname -m))

.PHONY: help run sam-local build build-bench test test-unit test-store test-robustness test-cost test-authz test-model test-acceptance test-sam-local bench bench-full fuzz lint logs token deploy clean install install-sam pins

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## the whole system on http://localhost:8080 (PORT=, AWS_PORT=); Ctrl-C stops it
	@for tool in python3 go; do command -v $$tool >/dev/null || { echo "run: $$tool is not installed, or not on PATH: Go 1.21 or newer and Python 3 are needed" >&2; exit 1; }; done
	@python3 tests/local/install.py venv
	@test -x .local/bin/local || echo "compiling what starts it all: a minute on a small machine"
	@CGO_ENABLED=0 go build -tags lambda.norpc -trimpath -o .local/bin/local ./tests/local # as the functions are, so that what they share is compiled once
	@exec .local/bin/local run

sam-local: ## sam local start-api on http://localhost:3000 (Docker); needs `make run CONTAINERS=1` in another terminal
	@test -e .local/sam-env.json || { echo "sam-local: start \`make run CONTAINERS=1\` in another terminal first, and wait until it is ready" >&2; exit 1; }
	@$(MAKE) install-sam
	@$(MAKE) build ARCH=$(HOST_ARCH)
	@.local/sam-venv/bin/python tests/local/image.py $(HOST_ARCH)
	@env -u AWS_PROFILE -u AWS_SESSION_TOKEN AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test $(SAM) local start-api --invoke-image instance-api-lambda --skip-pull-image --parameter-overrides Arch=$(HOST_ARCH)

# A function with a pack.py serves files, which that puts beside its bootstrap.
build: install-redoc ## every function's bootstrap into dist/ (ARCH=arm64 or x86_64)
	@mkdir -p $(DIST)/.build
	@$(GOBUILD) -o $(DIST)/.build/ ./functions/...
	@cd $(DIST) && for f in $(FUNCTIONS); do mkdir -p $$f && cmp -s .build/$$f $$f/bootstrap || \
	  { cp .build/$$f $$f/bootstrap.new && mv $$f/bootstrap.new $$f/bootstrap; } || exit; done
	@for f in $(patsubst functions/%/pack.py,%,$(wildcard functions/*/pack.py)); do \
	  python3 -B functions/$$f/pack.py $(DIST)/$$f || exit; done

build-bench:
	@mkdir -p $(DIST)/.bench
	@$(GOBUILD) -o $(DIST)/.bench/ ./tests/bench/hello ./tests/bench/dynamoget

test: install test-unit test-store test-robustness test-cost test-authz test-model test-acceptance test-contract ## everything, hermetic

test-unit: ## functions, shared packages, the structure of the project: no server
	@echo "== unit tests"
	@go vet $(PACKAGES)
	@$(TEST) ./functions/... ./shared/... ./tests/structure/... ./tests/contract/... ./tests/token/... ./events/owner/...

test-store: install ## stores against DynamoDB Local, blobs against an S3 server
	@echo "== stores and blobs against real servers"
	@$(TEST) -p 1 ./tests/storage/... ./tests/faults/... ./tests/local/...

test-robustness: install ## what nobody should send, over HTTP to every route, and every limit
	@echo "== hostile input and limits"
	@go test -shuffle=on ./tests/robustness/...

test-cost: install ## what queries and operations cost, and starts and requests take: some three minutes
	@echo "== cost of queries"
	@go test -shuffle=on ./tests/bench/...

test-model: install ## random requests against a model, what leaks, what is granted (MODEL_REQUESTS=10000)
	@echo "== the API against its model, its secrets and its permissions"
	@go test -shuffle=on -count=1 -p 1 -timeout 60m ./tests/model ./tests/leaks ./tests/permissions

test-authz: install ## every route, for every kind of caller, at every kind of object: under a minute
	@echo "== doors"
	@go test -shuffle=on ./tests/authz

bench: install ## what all this costs, against floors, as tables (WHAT="init warm ledger query", BENCH_INSTANCES=100000)
	@go run ./tests/bench $(WHAT)

bench-full: ## the same with 1,000,000 instances
	@BENCH_INSTANCES=1000000 $(MAKE) bench

test-acceptance: install ## over HTTP against the deployed template (BASE_URL= for one that runs already)
	@echo "== acceptance over HTTP"
	@$(TEST) -p 1 ./tests/acceptance/... $(if $(BASE_URL),,./tests/crash/... ./tests/receiver)

test-sam-local: install install-sam ## what holds under `sam local` too; needs a container engine, and is no part of make test
	@echo "== sam local"
	@$(MAKE) build ARCH=$(HOST_ARCH)
	@.local/sam-venv/bin/python tests/local/image.py $(HOST_ARCH)
	@ARCH=$(HOST_ARCH) RUN='$(RUN)' go test -count=1 -timeout 30m -v ./tests/samlocal

FUZZTIME ?= 20s

# Go's fuzzer fails now and then because its own time is up. What it has found fails again as a seed; that does not.
fuzz: ## every fuzz target, one after the other (FUZZTIME=20s for each); what fails is kept as a seed under testdata/fuzz
	@for p in $$(grep -rl --include='*_test.go' '^func Fuzz' functions shared tests | xargs -n 1 dirname | sort -u); do \
	  for t in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' $$p/*_test.go); do \
	    echo "== $$p $$t" && go test -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s ./$$p || \
	    go test -run "^$$t$$" ./$$p || exit; done; done

.PHONY: test-contract test-docs contract install-redoc install-contract

test-contract: install install-contract ## requests that schemathesis makes of the OpenAPI document
	@echo "== generated requests"
	@go test -count=1 -v ./tests/schemathesis/...

test-docs: install ## the docs page in a browser (CHROMIUM=, by default the chromium on PATH)
	@echo "== the docs page in a browser"
	@go test -count=1 -v ./tests/docspage/...

contract: ## note a new version of shared/httpapi/openapi.yaml, after info.version was raised
	@go run ./tests/contract/lock

# ST1003 would have instanceGUID in Go beside instanceGuid in every route and document: one name for one thing.
lint: install install-sam install-contract ## gofmt, vet, staticcheck, the template, the OpenAPI document
	@out=$$(gofmt -l functions shared tests events); test -z "$$out" || { echo "gofmt: $$out"; exit 1; }
	@go vet $(PACKAGES)
	@.local/bin/staticcheck -checks all,-ST1003 $(PACKAGES)
	@$(SAM) validate
	@.local/sam-venv/bin/python -B tests/structure/lint.py --prove
	@.local/sam-venv/bin/python -B tests/structure/deployments.py --prove
	@.local/contract-venv/bin/python -B tests/structure/openapi.py --prove
	@$(SAM) build --build-dir .local/sam-build >/dev/null

logs: ## the functions' logs of the running system, as they grow (FUNCTION=instance-create)
	@test -x .local/venv/bin/python || { echo "logs: nothing has run here yet: start it with \`make run\`" >&2; exit 1; }
	@.local/venv/bin/python tests/local/logs.py $(FUNCTION)

token: ## an access token: ORG=nav, or USERID=1001 PARTY=50012, or SSN=…; SCOPE=, EXPIRES= (use make -s)
	@go run ./tests/token

# Callers reach a function's alias, and SAM moves that for new code alone: so a change of parameters has to be new code.
deploy: build install-sam ## to your AWS account, environment ENV of samconfig.toml (dev, prod)
	@for f in $(FUNCTIONS); do cat samconfig.toml template.yaml | cksum > $(DIST)/$$f/deployed-with; done
	$(SAM) build && $(SAM) deploy --config-env $(ENV)

clean: ## what was built; not .local/, which holds tools and keys
	rm -rf dist .local/dist .local/log .aws-sam

install: ## the pinned tools into .local/; the targets that need them do it themselves
	@python3 tests/local/install.py

install-sam:
	@python3 tests/local/install.py sam

install-redoc:
	@python3 tests/local/install.py redoc

install-contract:
	@python3 tests/local/install.py contract

pins: install ## renew the pinned Python packages after a change of tests/local/*.in
	@python3 tests/local/install.py pins
