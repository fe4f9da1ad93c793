# Callboard: every target of the project. `make help` lists them.
#
# Each variant of the build (release, asan, tsan, coverage) has a folder of its own under build/, so
# that they never mix. The programs of the release variant are also at build/callboard-NAME.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

VERSION ?= 0.1.0
VARIANTS := release asan tsan coverage
TESTED_VARIANTS := release asan tsan
# The variant that unit-build builds.
VARIANT ?= release

# ---- Compiler ------------------------------------------------------------------------------------

CC := gcc
CLANG := clang-14
CLANG_FORMAT := clang-format-14
CLANG_TIDY := clang-tidy-14
# Empty to build with another compiler whose warnings are not known here.
WERROR ?= -Werror

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wmissing-prototypes -Wstrict-prototypes \
	-Wwrite-strings -Wformat=2 -Wundef
# The build is reproducible: no path of this machine, no date.
REPRODUCIBLE := -ffile-prefix-map=$(CURDIR)=. -Wdate-time
HARDENED := -fstack-protector-strong -fstack-clash-protection -ftrivial-auto-var-init=zero -fPIE
# Intel's control-flow enforcement; other machines have other means.
ifeq ($(shell uname -m),x86_64)
HARDENED += -fcf-protection
endif
HARDENED_LINK := -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code

CFLAGS_release := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 $(HARDENED)
LDFLAGS_release := $(HARDENED_LINK)
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all -fPIE
LDFLAGS_asan := -fsanitize=address,undefined -pie
CFLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -fPIE
LDFLAGS_tsan := -fsanitize=thread -pie
CFLAGS_coverage := -O0 -g --coverage -fprofile-update=atomic -fPIE
LDFLAGS_coverage := --coverage -pie

CPPFLAGS := -Ishared -I. -D_GNU_SOURCE -DCALLBOARD_VERSION='"$(VERSION)"'
CFLAGS := -std=gnu17 $(WARNINGS) $(WERROR) $(REPRODUCIBLE) -pthread

# ---- Sources -------------------------------------------------------------------------------------

# The only code that knows libcurl, and what is of no use without it.
CURL_SRC := shared/kube/curl.c shared/kube/process.c
# What the simulator and the fuzz targets link too: no network library.
CORE_SRC := $(wildcard shared/base/*.c shared/json/*.c shared/schema/*.c shared/types/*.c \
	shared/policy/*.c shared/control/*.c) $(filter-out $(CURL_SRC),$(wildcard shared/kube/*.c))
# The only code that knows libmicrohttpd and GnuTLS.
HTTP_SRC := $(wildcard shared/http/*.c)
# Certificates that a server keeps itself; the only code that knows OpenSSL.
CERTS_SRC := $(wildcard shared/certs/*.c)
# A folder is a program once it has a main.c.
PROGRAMS := $(patsubst %/main.c,%,$(wildcard webhook/main.c extender/main.c controller/main.c))
# The code of the programs without their main(): tests link it.
PROGRAM_SRC := $(filter-out %/main.c,$(wildcard webhook/*.c extender/*.c controller/*.c))
UNIT_TESTS := $(patsubst unit/%.c,%,$(wildcard unit/test_*.c))
UNIT_SRC := $(filter-out unit/test_%.c,$(wildcard unit/*.c))
# The simulator's programs: one runs seeds, the other serves the simulated API server over HTTP; the set-up of
# the end-to-end tests asks for it.
SIM_PROGRAMS := sim apiserver
SIM_SRC := $(filter-out $(SIM_PROGRAMS:%=unit/sim/%_main.c),$(wildcard unit/sim/*.c))
FUZZ_TARGETS := $(patsubst unit/fuzz/fuzz_%.c,%,$(wildcard unit/fuzz/fuzz_*.c))
ALL_SRC := $(wildcard shared/*/*.c webhook/*.c extender/*.c controller/*.c unit/*.c unit/*/*.c \
	e2e/*/*.c hack/*/*.c)
ALL_HEADERS := $(wildcard shared/*/*.h webhook/*.h extender/*.h controller/*.h unit/*.h \
	unit/*/*.h)

CORE_LIBS := -lyaml -lm
HTTP_LIBS := -lmicrohttpd -lgnutls
CURL_LIBS := -lcurl
# Not under the sanitizers, which bring an allocator of their own.
MALLOC_LIBS_release := -ljemalloc
# Certificates of our own. libcurl brings the library with it.
CRYPTO_LIBS := -lcrypto
# What one test needs beyond the others.
UNIT_LDFLAGS_test_yaml := -Wl,--wrap=malloc,--wrap=realloc,--wrap=free,--wrap=strdup \
	-l:libyaml.a

.PHONY: all
all: $(addprefix build/callboard-,$(PROGRAMS))

build/callboard-%: build/release/callboard-%
	@cp --remove-destination $< $@

# ---- Rules of one variant ------------------------------------------------------------------------

.PHONY: FORCE
FORCE:

define variant_rules
# Objects are made again when the flags change.
build/$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@echo '$$(CC) $$(CPPFLAGS) $$(CFLAGS) $$(CFLAGS_$(1)) $$(LDFLAGS_$(1))' | cmp -s - $$@ || \
		echo '$$(CC) $$(CPPFLAGS) $$(CFLAGS) $$(CFLAGS_$(1)) $$(LDFLAGS_$(1))' > $$@

build/$(1)/%.o: %.c build/$(1)/flags
	@mkdir -p $$(@D)
	@echo "  CC      $$@"
	@$$(CC) $$(CPPFLAGS) $$(CFLAGS) $$(CFLAGS_$(1)) -MMD -MP -c -o $$@ $$<

build/$(1)/lib%.a:
	@echo "  AR      $$@"
	@rm -f $$@
	@ar rcsD $$@ $$^
build/$(1)/libcore.a: $(patsubst %.c,build/$(1)/%.o,$(CORE_SRC))
build/$(1)/libhttp.a: $(patsubst %.c,build/$(1)/%.o,$(HTTP_SRC))
build/$(1)/libkube.a: $(patsubst %.c,build/$(1)/%.o,$(CURL_SRC))
build/$(1)/libcerts.a: $(patsubst %.c,build/$(1)/%.o,$(CERTS_SRC))
build/$(1)/libunit.a: $(patsubst %.c,build/$(1)/%.o,$(UNIT_SRC) $(SIM_SRC) $(PROGRAM_SRC))

.PHONY: unit-build-$(1) unit-run-$(1)
unit-build-$(1): $(addprefix build/$(1)/unit/,$(UNIT_TESTS))
endef

define program_rule
build/$(1)/callboard-$(2): $(patsubst %.c,build/$(1)/%.o,$(wildcard $(2)/*.c)) \
		build/$(1)/libcerts.a build/$(1)/libhttp.a build/$(1)/libkube.a build/$(1)/libcore.a
	@echo "  LINK    $$@"
	@$$(CC) $$(LDFLAGS_$(1)) -pthread -o $$@ $$^ -Wl,--as-needed $$(HTTP_LIBS) $$(CURL_LIBS) \
		$$(CRYPTO_LIBS) $$(CORE_LIBS) $$(MALLOC_LIBS_$(1))
endef

define unit_rule
build/$(1)/unit/$(2): build/$(1)/unit/$(2).o build/$(1)/libunit.a build/$(1)/libcerts.a \
		build/$(1)/libhttp.a build/$(1)/libkube.a build/$(1)/libcore.a
	@echo "  LINK    $$@"
	@$$(CC) $$(LDFLAGS_$(1)) -pthread -o $$@ $$^ $$(UNIT_LDFLAGS_$(2)) -lcmocka $$(HTTP_LIBS) \
		$$(CURL_LIBS) $$(CRYPTO_LIBS) $$(CORE_LIBS) -lcjson
endef

define sim_rule
build/$(1)/unit/sim/$(2): build/$(1)/unit/sim/$(2)_main.o build/$(1)/libunit.a \
		build/$(1)/libhttp.a build/$(1)/libcore.a
	@echo "  LINK    $$@"
	@$$(CC) $$(LDFLAGS_$(1)) -pthread -o $$@ $$^ -Wl,--as-needed $$(HTTP_LIBS) $$(CORE_LIBS) \
		$$(MALLOC_LIBS_$(1))
endef

$(foreach v,$(VARIANTS),$(eval $(call variant_rules,$(v))))
$(foreach v,$(VARIANTS),$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(v),$(p)))))
$(foreach v,$(VARIANTS),$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rule,$(v),$(t)))))
$(foreach v,$(VARIANTS),$(foreach t,$(SIM_PROGRAMS),$(eval $(call sim_rule,$(v),$(t)))))

.PHONY: unit-build
unit-build: unit-build-$(VARIANT)

# ---- Tests ---------------------------------------------------------------------------------------
#
# hack/tap runs a command that speaks TAP, keeps its output under build/test, and counts.

.PHONY: test
test: ## all tests, with one count at the end (the README's second command)
	@hack/test

# What the tests run, of every variant: hack/test has it all compiled first.
.PHONY: test-build
test-build: all $(TESTED_VARIANTS:%=unit-build-%) $(TESTED_VARIANTS:%=build/%/unit/sim/sim) \
	$(FUZZ_TARGETS:%=build/asan/unit/fuzz/replay_%)

.PHONY: unit
unit: unit-build-release ## unit tests
	@hack/tap unit hack/unit release $(UNIT_TESTS)

# SEED replays one seed of one TARGET, with its trace.
SEEDS ?= 1000
SEED ?=
TARGET ?= controller
.PHONY: sim
sim: build/release/unit/sim/sim ## the simulator: SEEDS=n; SEED=n [TARGET=name] replays one
ifneq ($(SEED),)
	@$< --seed $(SEED) --target $(TARGET) --trace
else
	@hack/tap sim $< --seeds $(SEEDS) --planted
endif

.PHONY: sanitize
sanitize: unit-build-asan unit-build-tsan build/asan/unit/sim/sim build/tsan/unit/sim/sim ## unit tests and simulator under ASan+UBSan and under TSan
	@hack/tap unit-asan hack/unit asan $(UNIT_TESTS)
	@hack/tap unit-tsan hack/unit tsan $(UNIT_TESTS)
	@hack/tap sim-asan build/asan/unit/sim/sim --seeds 100
	@hack/tap sim-tsan build/tsan/unit/sim/sim --seeds 5

.PHONY: coverage
coverage: unit-build-coverage ## unit tests with gcovr's figures, in build/coverage.txt
	@find build/coverage -name '*.gcda' -delete
	@hack/tap unit-coverage hack/unit coverage $(UNIT_TESTS)
	@gcovr --root . --object-directory build/coverage --filter shared/ --filter webhook/ \
		--filter controller/ --filter extender/ --exclude-throw-branches --gcov-executable gcov --txt build/coverage.txt
	@tail -n 4 build/coverage.txt

# The Kubernetes client by itself; the tests' set-up asks for it.
KUBECLIENT := build/release/e2e/kubeclient/kubeclient
$(KUBECLIENT): build/release/e2e/kubeclient/main.o build/release/libkube.a build/release/libcore.a
	@echo "  LINK    $@"
	@$(CC) $(LDFLAGS_release) -pthread -o $@ $^ $(CURL_LIBS) $(CORE_LIBS) $(MALLOC_LIBS_release)

.PHONY: e2e
e2e: all ## kubectl against a real control plane with fake nodes
	@hack/tap e2e hack/e2e

.PHONY: e2e-node
e2e-node: all ## the image in pods on a real node, installed as the documentation says
	@hack/tap e2e-node hack/e2e-node

.PHONY: rights
rights: ## after e2e and e2e-node: that every right of our ServiceAccounts was needed, by their audit logs
	@hack/tap rights hack/rights used build/e2e/cluster/logs/audit.log \
		$(wildcard build/e2e-node/cluster/logs/audit.log)

# ---- Fuzzing -------------------------------------------------------------------------------------

.PHONY: fuzz-replay
fuzz-replay: $(addprefix build/asan/unit/fuzz/replay_,$(FUZZ_TARGETS)) ## replays the corpora
	@hack/tap fuzz-replay hack/fuzz-replay $(FUZZ_TARGETS)

define replay_rule
build/asan/unit/fuzz/replay_$(1): build/asan/unit/fuzz/fuzz_$(1).o build/asan/unit/fuzz/replay.o \
		build/asan/libunit.a build/asan/libhttp.a build/asan/libkube.a build/asan/libcore.a
	@echo "  LINK    $$@"
	@$$(CC) $$(LDFLAGS_asan) -pthread -o $$@ $$^ -lcmocka $$(HTTP_LIBS) $$(CURL_LIBS) \
		$$(CORE_LIBS)
endef
$(foreach f,$(FUZZ_TARGETS),$(eval $(call replay_rule,$(f))))

# Coverage-guided, for people: make fuzz FUZZ=json SECONDS=600
FUZZ ?= json
SECONDS ?= 60
FUZZ_FLAGS := -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
# What is fuzzed talks to no API server.
FUZZ_SRC := $(filter-out shared/kube/% shared/control/%,$(CORE_SRC))
FUZZ_PROGRAM_SRC := webhook/admission.c shared/kube/object.c \
	$(addprefix extender/,amount.c node.c pod.c filter.c wire.c)
build/fuzz/fuzz_%: unit/fuzz/fuzz_%.c $(FUZZ_SRC) $(FUZZ_PROGRAM_SRC) $(ALL_HEADERS)
	@mkdir -p $(@D)
	@echo "  FUZZ    $@"
	@$(CLANG) -std=gnu17 $(CPPFLAGS) $(FUZZ_FLAGS) -pthread -o $@ $< $(FUZZ_SRC) \
		$(FUZZ_PROGRAM_SRC) $(CORE_LIBS)

.PHONY: fuzz
fuzz: build/fuzz/fuzz_$(FUZZ) ## fuzzes one target: FUZZ=name SECONDS=n
	@mkdir -p build/fuzz/corpus/$(FUZZ)
	@build/fuzz/fuzz_$(FUZZ) -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 \
		-artifact_prefix=build/fuzz/ build/fuzz/corpus/$(FUZZ) unit/fuzz/corpus/$(FUZZ)

# ---- Benchmarks ----------------------------------------------------------------------------------
#
# Figures are printed, never asserted: machines differ.

.PHONY: bench bench-lint bench-webhook bench-controller bench-flows bench-controller-memory bench-extender
bench: bench-lint bench-webhook bench-controller bench-controller-memory bench-extender ## all benchmarks

FLOW_TIME := build/release/flow-time
$(FLOW_TIME): build/release/hack/flow-time/main.o build/release/libcore.a
	@echo "  LINK    $@"
	@$(CC) $(LDFLAGS_release) -pthread -o $@ $^ $(CORE_LIBS) $(MALLOC_LIBS_release)

bench-lint: $(FLOW_TIME) all ## lint on a flow of 10,000 steps and 100,000 edges: STEPS=n EDGES=n
	@STEPS="$(STEPS)" EDGES="$(EDGES)" hack/bench-lint $(FLOW_TIME)

# Requests of the benchmark's last part, and rounds before it.
REQUESTS ?= 1000000
ROUNDS ?= 5

bench-webhook: all ## callboard-webhook beside a webhook in Go: REQUESTS=n ROUNDS=n
	@hack/bench/webhook -requests $(REQUESTS) -rounds $(ROUNDS)

bench-controller: all ## Performers and flows beside bare pods and Jobs on a control plane: PERFORMERS=n FLOWS=n
	@PERFORMERS="$(PERFORMERS)" NODES="$(NODES)" TURNS="$(TURNS)" hack/bench/controller
	@FLOWS="$(FLOWS)" LARGE="$(LARGE)" NODES="$(NODES)" TURNS="$(TURNS)" hack/bench/flows

bench-flows: all ## the second half of it: FLOWS=n LARGE=n NODES=n TURNS=n
	@FLOWS="$(FLOWS)" LARGE="$(LARGE)" NODES="$(NODES)" TURNS="$(TURNS)" hack/bench/flows

bench-controller-memory: all build/release/unit/sim/apiserver ## its memory over many objects: CYCLES=n FLOWS=n KEPT=n
	@CYCLES="$(CYCLES)" FLOWS="$(FLOWS)" KEPT="$(KEPT)" hack/bench/controller-memory

# Requests of each kind, and the sizes of the clusters.
QUESTIONS ?= 1000
SIZES ?= 1000/50000,5000/50000,5000/100000

bench-extender: all ## the extender's latency and memory on large clusters: QUESTIONS=n SIZES=nodes/pods,…
	@hack/bench/extender -requests $(QUESTIONS) -sizes $(SIZES)

.PHONY: bench-scheduler bench-failover
bench-scheduler: all ## kube-scheduler with the extender and without: PODS=n NODES=n TURNS=n KINDS="gpu cpu unmarked"
	@PODS="$(PODS)" NODES="$(NODES)" TURNS="$(TURNS)" KINDS="$(KINDS)" hack/bench/scheduler

bench-failover: all ## binds while the active replica of the extender is killed: BINDS=n PAUSE=seconds
	@BINDS="$(BINDS)" PAUSE="$(PAUSE)" hack/bench/failover

# The folder with the trace, the lists of it to run (all when it is empty), loads of pods that come and go.
OPENB ?=
LISTS ?=
LOADS ?= 85 95 105

.PHONY: bench-packing bench-packing-cluster
bench-packing: all ## packing policies on the openb trace: OPENB=FOLDER LISTS=names LOADS=percents
	@OPENB="$(OPENB)" LISTS="$(LISTS)" LOADS="$(LOADS)" hack/bench/packing

bench-packing-cluster: all ## the same by a real kube-scheduler on fake nodes: OPENB=FOLDER LIST=name
	@OPENB="$(OPENB)" LIST="$(LIST)" hack/bench/packing-cluster

# ---- Generated files and checks ------------------------------------------------------------------

GENERATE := build/release/generate
$(GENERATE): build/release/hack/generate/main.o build/release/webhook/options.o \
		build/release/controller/options.o build/release/extender/options.o \
		build/release/controller/performer_reason.o \
		build/release/controller/flow_reason.o \
		build/release/libcore.a
	@echo "  LINK    $@"
	@$(CC) $(LDFLAGS_release) -pthread -o $@ $^ $(CORE_LIBS)

.PHONY: generate
generate: $(GENERATE) ## CRDs and references from the tables
	@hack/generate/run $(GENERATE) .

.PHONY: check
check: $(GENERATE) all compile_commands.json ## generated files, format, linters
	@CLANG_FORMAT=$(CLANG_FORMAT) CLANG_TIDY=$(CLANG_TIDY) hack/tap check hack/check $(GENERATE)

# The analyzer needs a build of its own; its findings are errors.
.PHONY: analyze
analyze: $(patsubst %.c,build/analyze/%.o,$(CORE_SRC) $(HTTP_SRC) $(CURL_SRC) $(CERTS_SRC) $(wildcard webhook/*.c controller/*.c extender/*.c))
build/analyze/%.o: %.c
	@mkdir -p $(@D)
	@echo "  ANALYZE $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -O1 -fanalyzer -MMD -MP -c -o $@ $<

.PHONY: format
format: ## formats the C code
	@$(CLANG_FORMAT) -i $(ALL_SRC) $(ALL_HEADERS)

.PHONY: compile_commands.json
compile_commands.json:
	@{ echo '['; separator=; for f in $(ALL_SRC); do \
		echo "$$separator {\"directory\": \"$(CURDIR)\", \"file\": \"$$f\", \"arguments\": [\"gcc\"," \
			"\"-std=gnu17\", \"-Wall\", \"-Wextra\", \"-Ishared\", \"-I.\", \"-D_GNU_SOURCE\"," \
			"\"-DCALLBOARD_VERSION=\\\"$(VERSION)\\\"\", \"-c\", \"$$f\"]}"; separator=,; \
	done; echo ']'; } > $@

# ---- Container image -----------------------------------------------------------------------------

.PHONY: image image-files
image: all ## the one container image, by buildah: build/image/callboard-VERSION.tar
	@hack/image $(VERSION) $(PROGRAMS)

# For the Dockerfile.
FOLDER ?= build/image/files
image-files: all ## what is in the image, without buildah: FOLDER=folder
	@hack/image-files $(FOLDER) $(VERSION) $(PROGRAMS:%=callboard-%)

# ---- Local cluster and demo ----------------------------------------------------------------------

.PHONY: deps
deps: ## installs what building and testing need (Debian 12)
	@hack/deps

.PHONY: demo demo-down
demo: ## from a bare machine to a Performer that runs and objects that are refused (the README's first command)
	@hack/demo up
demo-down: ## ends the demo
	@hack/demo down

.PHONY: cluster-up cluster-down cluster-env
cluster-up: ## starts the local control plane: NODES=n fake nodes, REAL_NODE=1 a real one
	@hack/cluster up
cluster-down: ## stops it
	@hack/cluster down
cluster-env: ## prints the KUBECONFIG to export
	@hack/cluster env

# ---- Housekeeping --------------------------------------------------------------------------------

.PHONY: clean
clean: ## removes what was built (stop the cluster first)
	@! hack/cluster status >/dev/null 2>&1 || { echo "stop the cluster first: make cluster-down"; exit 1; }
	@rm -rf build compile_commands.json

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9_-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' Makefile

-include $(shell find build/release build/asan build/tsan build/coverage build/analyze -name '*.d' 2>/dev/null)
