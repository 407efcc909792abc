# Build, test, run and deploy. Run `make help` for the targets. Needs Go, Python 3.10 and make; the
# tests also need curl and jq.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

FUNCTIONS := $(patsubst functions/%/main.go,%,$(wildcard functions/*/main.go))
PACKAGES  := ./...
UNIT      := ./functions/... ./shared/... ./tests/structure/... ./tests/contract/... ./tests/routes/... ./tests/token/... ./events/owner/...
HOST_ARCH := $(patsubst aarch64,arm64,$(shell uname -m))
DIST      ?= .local/dist
ENV       ?= dev
LDFLAGS   ?= -s -w
# The flags of the functions, also for sam, which passes the environment to Go: static binaries
# without debug information and commit, so that equal source makes equal programs.
FLAGS      = CGO_ENABLED=0 GOFLAGS='-tags=lambda.norpc -trimpath -buildvcs=false "-ldflags=$(LDFLAGS)"'
# Long enough for a machine that is busy with something else.
TEST_TIMEOUT ?= 60m
TEST      := go test -race -shuffle=on -timeout $(TEST_TIMEOUT)
SAM        = $(FLAGS) SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-eu-north-1} .local/sam-venv/bin/sam
# In its own folder, because .aws-sam/build has the functions of a deployment, often for another
# architecture.
SAM_BUILD  = $(SAM) build --build-dir .local/sam-build --parameter-overrides Arch=$(HOST_ARCH) >/dev/null
# Go 1.21 and newer download the toolchain that go.mod names.
export GOTOOLCHAIN := go$(shell sed -n 's/^go //p' go.mod)

.PHONY: help run sam-local build build-bench check test test-unit test-store test-robustness test-cost test-authz \
  test-model test-acceptance test-sam-local bench bench-full fuzz lint logs token event receive deploy redrive replay clean install install-sam \
  update-pins

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## run the complete system on http://localhost:8080 (PORT=, AWS_PORT=, SCAN=off); Ctrl-C stops it, KEEP=1 keeps its data
	@for tool in python3 go; do command -v $$tool >/dev/null || { echo "run: $$tool is not on PATH. Install Go 1.21 or newer and Python 3." >&2; exit 1; }; done
	@python3 tests/local/install.py venv
	@test -x .local/bin/local || echo "Compiling the launcher. This takes a minute on a small machine."
	@# The flags of the functions, so that shared packages are compiled once.
	@CGO_ENABLED=0 go build -tags lambda.norpc -trimpath -o .local/bin/local ./tests/local
	@exec .local/bin/local run

sam-local: ## run `sam local start-api` on http://localhost:3000 (Docker), after `make run CONTAINERS=1` in another terminal
	@test -e .local/sam-env.json || { echo "sam-local: first run \`make run CONTAINERS=1\` in another terminal and wait until it is ready" >&2; exit 1; }
	@$(MAKE) install-sam
	@$(SAM_BUILD)
	@.local/sam-venv/bin/python tests/local/image.py $(HOST_ARCH)
	@env -u AWS_PROFILE -u AWS_SESSION_TOKEN AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test $(SAM) local start-api \
	  --template .local/sam-build/template.yaml --config-file $(CURDIR)/samconfig.toml \
	  --invoke-image instance-api-lambda --skip-pull-image --parameter-overrides Arch=$(HOST_ARCH)

build: ## build the functions for this machine; `sam build` builds those of a deployment
	@mkdir -p $(DIST)/.build
	@$(FLAGS) go build -o $(DIST)/.build/ ./functions/...
	@cd $(DIST) && for f in $(FUNCTIONS); do mkdir -p $$f && cmp -s .build/$$f $$f/bootstrap || \
	  { cp .build/$$f $$f/bootstrap.new && mv $$f/bootstrap.new $$f/bootstrap; } || exit; done

build-bench:
	@mkdir -p $(DIST)/.bench
	@$(FLAGS) go build -o $(DIST)/.bench/ ./tests/bench/hello ./tests/bench/dynamoget

# Only options that let Go cache a test result: no -race, -shuffle or -count.
check: gofmt ## run gofmt, vet and the unit tests without race detector; seconds if nothing changed
	@go vet $(PACKAGES)
	@go test $(UNIT)

.PHONY: gofmt
gofmt:
	@out=$$(gofmt -l events functions shared tests); test -z "$$out" || { echo "gofmt: format these files: $$out"; exit 1; }

test: install test-unit test-store test-robustness test-cost test-authz test-model test-acceptance test-contract ## run all tests; no network service or account needed

test-unit: ## run the unit tests with race detector, in random order; no server
	@echo "== unit tests"
	@go vet $(PACKAGES)
	@$(TEST) $(UNIT)

test-store: install ## test stores with DynamoDB Local and blobs with an S3 server
	@echo "== stores and blobs with real servers"
	@$(TEST) -p 1 ./tests/storage/... ./tests/faults/... ./tests/local/... ./tests/restore/...

test-robustness: install ## send malformed and oversized requests to every route
	@echo "== malformed requests and limits"
	@go test -shuffle=on -timeout $(TEST_TIMEOUT) ./tests/robustness/...

test-cost: install ## test the cost of queries and operations and the time of starts and requests; three minutes
	@echo "== costs and times"
	@go test -shuffle=on -timeout $(TEST_TIMEOUT) ./tests/bench/...

test-model: install ## compare random requests with a model, test leaks and permissions (MODEL_REQUESTS=10000)
	@echo "== model, leaks and permissions"
	@go test -shuffle=on -count=1 -p 1 -timeout $(TEST_TIMEOUT) ./tests/model ./tests/leaks ./tests/permissions

test-authz: install ## test every route with every kind of caller and object; under a minute
	@echo "== authorization"
	@go test -shuffle=on -timeout $(TEST_TIMEOUT) ./tests/authz

bench: install ## print costs and times next to baselines (WHAT="init warm ledger query", BENCH_INSTANCES=100000)
	@go run ./tests/bench $(WHAT)

bench-full: ## run bench with 1,000,000 instances
	@BENCH_INSTANCES=1000000 $(MAKE) bench

test-acceptance: install ## test the deployed template over HTTP (BASE_URL= for a system that runs already)
	@echo "== acceptance over HTTP"
	@$(TEST) -p 1 ./tests/acceptance/... $(if $(BASE_URL),,./tests/crash/... ./tests/receiver ./tests/event/...)

test-sam-local: install install-sam ## test with `sam local`; needs a container engine, not part of `make test`
	@echo "== sam local"
	@.local/sam-venv/bin/python tests/local/image.py $(HOST_ARCH)
	@ARCH=$(HOST_ARCH) RUN='$(RUN)' go test -count=1 -timeout 30m -v ./tests/samlocal

FUZZTIME ?= 20s

# Go's fuzzer sometimes fails only because its time is up. A real finding fails again as a seed, so
# the target then runs with its seeds alone.
fuzz: ## run every fuzz target in turn (FUZZTIME=20s each); failing inputs become seeds under testdata/fuzz
	@for p in $$(grep -rl --include='*_test.go' '^func Fuzz' functions shared tests | xargs -n 1 dirname | sort -u); do \
	  for t in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' $$p/*_test.go); do \
	    echo "== $$p $$t" && go test -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s ./$$p || \
	    go test -run "^$$t$$" ./$$p || exit; done; done

.PHONY: test-contract test-clients test-docs test-xsd contract-lock lint-contract install-docs install-docspage \
  install-contract install-contract-lint install-clients update-docs

test-contract: install install-contract ## test requests that schemathesis generates from the OpenAPI document
	@echo "== generated requests"
	@go test -count=1 -timeout $(TEST_TIMEOUT) -v ./tests/schemathesis/...

test-clients: install install-clients ## generate clients in four languages and do the main job with each, and with the samples of the reference; needs Node.js 20, a JDK 17 and Mono
	@echo "== generated clients"
	@go test -count=1 -timeout $(TEST_TIMEOUT) -v ./tests/clients

test-docs: install install-docspage ## test the documentation and the console in a browser (CHROMIUM=, default: chromium on PATH); needs Node.js 20
	@echo "== the documentation and the console in a browser"
	@go test -count=1 -v ./tests/docspage/...

test-xsd: ## compare the validation of XML with xmllint and expat; needs xmllint (apt install libxml2-utils)
	@echo "== XML Schema and XML, compared with other parsers"
	@go test -count=1 -timeout 30m ./tests/xmllint
	@go test -run '^$$' -fuzz '^FuzzAgreesWithExpat$$' -fuzztime 100000x -fuzzminimizetime 10x ./shared/wellformed

contract-lock: ## record a new version of shared/httpapi/openapi.yaml, after you raised info.version
	@go run ./tests/contract/lock

# Warnings fail, too. The configurations name the exceptions.
CONTRACT_LINT := .local/contract-lint/node_modules/.bin
lint-contract: install-contract-lint ## check the documents for client generators with Redocly and Spectral; needs Node.js
	@go run ./tests/contract/cut .local/contract
	@REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(CONTRACT_LINT)/redocly lint \
	  --config tests/contract/lint/redocly.yaml .local/contract/apps.yaml .local/contract/storage.yaml
	@$(CONTRACT_LINT)/spectral lint --fail-severity warn --ruleset tests/contract/lint/spectral.yaml \
	  .local/contract/apps.yaml .local/contract/storage.yaml

# ST1003 is off because it requires instanceGUID in Go. Routes and documents have instanceGuid, and
# Go has the same name.
lint: gofmt install install-sam install-docs install-contract ## run gofmt, vet, staticcheck, sam build, and the checks of template and OpenAPI document
	@go vet $(PACKAGES)
	@.local/bin/staticcheck -checks all,-ST1003 $(PACKAGES)
	@$(SAM) validate
	@.local/sam-venv/bin/python -B tests/structure/lint.py --prove
	@.local/sam-venv/bin/python -B tests/structure/deployments.py --prove
	@.local/sam-venv/bin/python -B tests/deploy/preflight_test.py
	@.local/sam-venv/bin/python -B tests/deploy/attach_test.py
	@.local/sam-venv/bin/python -B tests/deploy/recover_test.py
	@.local/sam-venv/bin/python -B tests/structure/upgrade.py --prove
	@.local/contract-venv/bin/python -B tests/structure/openapi.py --prove
	@python3 -B functions/docs-get/vendor.py --check
	@$(SAM_BUILD)

logs: ## follow the function logs of the running system (FUNCTION=instance-create)
	@test -x .local/venv/bin/python || { echo "logs: no system has run here yet; start one with \`make run\`" >&2; exit 1; }
	@.local/venv/bin/python tests/local/logs.py $(FUNCTION)

token: ## print an access token for ORG=nav, or SSN=…, ORGNR=… and USER_NAME=…, or PARTY=…; SCOPE=, EXPIRES= (use make -s)
	@$(FLAGS) go run ./tests/token

event: ## write the sample events of a FUNCTION=InstanceGet with a token and a real instance, for `sam local invoke`
	@$(FLAGS) go run ./tests/event $(FUNCTION)

# Variables of the command line are in the environment of the recipe, so that the shell, not make,
# quotes them.
receive: ## fetch and confirm what is submitted to APP=nav/app2018, into DIR=inbox (ONCE=1, JSON=1, ON_COMPLETE=, LISTEN=:8090, BASE=, TOKEN_FILE=)
	@test -n "$$APP" || { echo "receive: name the application: make receive APP=nav/app2018" >&2; exit 2; }
	@CGO_ENABLED=0 go build -o .local/bin/receiver ./events/owner/receiver
	@test -n "$$TOKEN_FILE$$TOKEN_COMMAND$$TOKEN" || export TOKEN_COMMAND="make -s token ORG=$${APP%%/*}"; \
	  exec .local/bin/receiver -app "$$APP" -dir "$${DIR:-inbox}" -base "$${BASE:-http://localhost:8080}" \
	  $(if $(ONCE),-once) $(if $(JSON),-json) $${LISTEN:+-listen "$$LISTEN"} $${ON_COMPLETE:+-on-complete "$$ON_COMPLETE"}

# Callers call a function's alias, and SAM moves an alias only to new code or new properties. The
# file deployed-with makes a changed value of a parameter new code too.
deploy: install-sam ## deploy to your AWS account, environment ENV of samconfig.toml (dev, prod)
	@.local/sam-venv/bin/python -B tests/deploy/preflight.py $(ENV)
	$(SAM) build
	@for f in .aws-sam/build/*/; do cksum < samconfig.toml > $$f/deployed-with; done
	$(SAM) deploy --config-env $(ENV)

# The values are read from the environment, so that the shell does not split them.
redrive: install-sam ## move the messages of the dead-letter queue QUEUE=FeedDeadLetters back, in the environment ENV
	@.local/sam-venv/bin/python -B tests/deploy/recover.py $(ENV) redrive "$$QUEUE"

replay: install-sam ## send the archived events FROM=2026-11-25T10:00:00Z TO=… to the feed, or to an owner's RULE=, in ENV
	@.local/sam-venv/bin/python -B tests/deploy/recover.py $(ENV) replay "$$FROM" "$$TO" "$$RULE"

clean: ## delete build output and logs; tools and keys in .local/ stay
	rm -rf .local/dist .local/log .aws-sam

install: ## install the pinned tools into .local/; targets that need them do this themselves
	@python3 tests/local/install.py

install-sam:
	@python3 tests/local/install.py sam

install-docspage:
	@python3 tests/local/install.py docspage

install-docs:
	@python3 tests/local/install.py docs

update-docs: install-docs ## make the files of the documentation again after a change of its guides or of tests/local/docs.txt
	@python3 -B functions/docs-get/vendor.py
	@go test -count=1 -run TestGuidesAreRendered ./functions/docs-get -update >/dev/null

install-contract:
	@python3 tests/local/install.py contract

install-contract-lint:
	@python3 tests/local/install.py contract-lint

install-clients:
	@python3 tests/local/install.py clients

update-pins: install ## resolve the pinned Python packages again after a change of tests/local/*.in
	@python3 tests/local/install.py update-pins
