# Parapet.  `make help` lists the targets; it is written from the `##` comments below.
# Everything built lands in build/; `make deps` says what it installs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
.SECONDARY: # what is generated on the way stays

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 60
VERSION := 0.1.0

WARNINGS  := -Wall -Wextra -Werror -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wno-missing-field-initializers -Wno-unknown-warning-option -Wno-format-truncation
HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE -D_FORTIFY_SOURCE=2
OPTIMIZE  ?= -O2 -g
SANITIZE  ?=
PACKAGES  := jansson yaml-0.1 rdkafka hiredis libcurl libcrypto libmicrohttpd zlib
# TLS to Redis: where hiredis has it (Debian 13).
REDIS_TLS := $(shell pkg-config --exists hiredis_ssl libssl 2>/dev/null && echo hiredis_ssl libssl)
PACKAGES  += $(REDIS_TLS)
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PACKAGES) 2>/dev/null)
CFLAGS  ?=
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -DPARAPET_VERSION='"$(VERSION)"' $(if $(REDIS_TLS),-DPARAPET_REDIS_TLS) -pthread $(OPTIMIZE) $(WARNINGS) \
             $(if $(SANITIZE),-fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all,$(HARDENING)) \
             -Icommon -Iworker -Iproducer -I$(BUILD)/gen $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE),-pie -Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now$(comma)-z$(comma)noexecstack) $(LDFLAGS)
LDFLAGS ?=
LDLIBS  := $(PKG_LIBS) -lm
comma   := ,

# The sources are found, never listed: a new file is built because it is there.
COMMON_C   := $(sort $(wildcard common/*/*.c))
WORKER_C   := $(sort $(filter-out worker/main.c,$(wildcard worker/*.c)) $(wildcard worker/engine/*.c worker/check/*.c worker/baselines/*.c worker/functions/*.c worker/operate/*.c worker/site/*.c worker/notices/*.c))
PRODUCER_C := $(sort $(filter-out producer/main.c,$(wildcard producer/*.c)) $(wildcard producer/sources/*.c))
CLI_C      := $(sort $(wildcard worker/cli/*.c))
UNIT_C     := $(sort $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c))
UNIT_HELP_C := $(sort $(wildcard tests/unit/support/*.c))
FUZZ_C     := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_C    := $(sort $(wildcard tests/bench/bench_*.c))
HELPER_C   := $(sort $(wildcard tests/support/*.c))
LUA        := $(sort $(wildcard common/state/*.lua))

object   = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
COMMON_LIB := $(BUILD)/libparapet-common.a
WORKER_LIB := $(BUILD)/libparapet-worker.a
PROGRAMS   := $(BUILD)/parapet $(BUILD)/parapet-collector $(BUILD)/parapet-worker $(BUILD)/conformance
UNIT_BIN   := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_C))
FUZZ_BIN   := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(FUZZ_C))
BENCH_BIN  := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(BENCH_C))
HELPER_BIN := $(patsubst tests/support/%.c,$(BUILD)/tests/support/%,$(HELPER_C))

.PHONY: all help
all: deps-build ## build everything (the default): programs and AWS models
	@$(MAKE) -j$(JOBS) programs

.PHONY: programs conformance
programs: $(PROGRAMS) $(HELPER_BIN) $(BUILD)/models/.stamp
conformance: $(BUILD)/conformance

help: ## this list
	@echo "Parapet $(VERSION): guardrails for every account and Region of an AWS organization."
	@echo
	@sed -nE 's/^([a-z][a-z-]*):.*## (.*)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo
	@echo "Variables: V=1 (print commands)  CC=gcc|clang  BUILD=build  SANITIZE=address,undefined|thread  FUZZ_SECONDS=60  FUZZ="match pattern"  PREFIX=/usr/local"

# ---- what is needed -------------------------------------------------------------------------------------------
.PHONY: deps deps-build
deps: ## install what building, testing and the demo need (apt, pip, Maven); says what it installs
	@tests/support/deps.sh all
deps-build: # just compiler, libraries and models' needs
	@tests/support/deps.sh build

# ---- compile --------------------------------------------------------------------------------------------------
$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(V),,echo '  cc   $<';) $(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# The Lua scripts travel inside the program: one C string a file.
$(BUILD)/gen/state_scripts.h: $(LUA) Makefile
	@mkdir -p $(@D)
	@{ echo "/* generated from the .lua files in common/state */"; for f in $(LUA); do n=$$(basename $$f .lua); \
	  printf 'static const char script_%s[] =\n' "$$n"; sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/  "/' -e 's/$$/\\n"/' $$f; echo '  ;'; done; } > $@
$(call object,$(wildcard common/state/*.c)): $(BUILD)/gen/state_scripts.h

$(COMMON_LIB): $(call object,$(COMMON_C))
	@rm -f $@; ar rcs $@ $^
$(WORKER_LIB): $(call object,$(WORKER_C))
	@rm -f $@; ar rcs $@ $^

link = @$(if $(V),,echo '  link $@';) $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS)
$(BUILD)/parapet: $(call object,$(CLI_C)) $(WORKER_LIB) $(COMMON_LIB)
	$(link)
# librdkafka allocates a message on one thread and frees it on another; glibc's malloc makes the two wait for each other
# (BENCH=pipeline). Sanitizers bring their own.
$(BUILD)/parapet-worker: LDLIBS += $(if $(SANITIZE),,-ljemalloc)
$(BUILD)/parapet-worker: $(call object,worker/main.c) $(WORKER_LIB) $(COMMON_LIB)
	$(link)
$(BUILD)/parapet-collector: $(call object,producer/main.c $(PRODUCER_C)) $(COMMON_LIB)
	$(link)
$(BUILD)/conformance: $(call object,$(wildcard tests/conformance/*.c)) $(COMMON_LIB)
	$(link)
$(BUILD)/tests/support/%: $(BUILD)/obj/tests/support/%.o $(COMMON_LIB)
	@mkdir -p $(@D)
	$(link)

# ---- AWS service models ---------------------------------------------------------------------------------------
.PHONY: models
models: $(BUILD)/models/.stamp ## compile the AWS service models from the pinned botocore
$(BUILD)/models/.stamp: common/aws/models.py common/aws/models.pin
	@tests/support/deps.sh build
	python3 common/aws/models.py --pin common/aws/models.pin --out $(BUILD)/models
	@touch $@

# ---- tests ----------------------------------------------------------------------------------------------------
# A test file holds `static void test_something(void **state)` functions; its main is generated from their names, so
# that a test that is written is a test that runs.
$(BUILD)/gen/unit/%.main.c: tests/unit/%.c Makefile
	@mkdir -p $(@D)
	@{ echo '#include "$(abspath $<)"'; echo 'int main(void) {'; echo '  const struct CMUnitTest tests[] = {'; \
	  sed -nE 's/^static void (test_[a-z0-9_]+)\(void \*\*[a-z]*\).*/    cmocka_unit_test(\1),/p' $<; \
	  echo '  };'; echo '  return cmocka_run_group_tests_name("$*", tests, NULL, NULL);'; echo '}'; } > $@
$(call object,$(UNIT_HELP_C)): ALL_CFLAGS += -Itests/unit
$(BUILD)/tests/unit/%: $(BUILD)/gen/unit/%.main.c $(call object,$(UNIT_HELP_C)) $(WORKER_LIB) $(COMMON_LIB) $(call object,$(PRODUCER_C))
	@mkdir -p $(@D)
	@$(if $(V),,echo '  test $*';) $(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) -lcmocka

.PHONY: unit-programs unit test lint asan tsan fuzz bench demo docs install clean
unit-programs: $(if $(MODULE),$(filter $(BUILD)/tests/unit/$(MODULE)/%,$(UNIT_BIN)),$(UNIT_BIN))
unit: $(BUILD)/models/.stamp ## the unit tests alone (MODULE=match: one folder's)
	@$(MAKE) -j$(JOBS) unit-programs
	@BUILD=$(BUILD) MODULE=$(MODULE) tests/support/unit.sh

test: ## every test: unit, conformance, offline playbook tests, documents, integration on the full stack
	@tests/support/deps.sh all
	@$(MAKE) -j$(JOBS) programs unit-programs
	@BUILD=$(BUILD) tests/support/run.sh

lint: ## clang-format, clang-tidy, cppcheck, gcc and clang warnings
	@tests/support/deps.sh lint
	@BUILD=$(BUILD) JOBS=$(JOBS) tests/support/lint.sh

asan: models ## the unit tests under address + undefined sanitizers
	@$(MAKE) unit CC=clang BUILD=$(BUILD)/asan SANITIZE=address,undefined OPTIMIZE='-O1 -g' MODULE=$(MODULE)
tsan: models ## the unit tests under the thread sanitizer
	@$(MAKE) unit CC=clang BUILD=$(BUILD)/tsan SANITIZE=thread OPTIMIZE='-O1 -g' MODULE=$(MODULE)

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(COMMON_LIB) $(WORKER_LIB)
	@mkdir -p $(@D)
	@$(if $(V),,echo "  fuzz $*";) $(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(ALL_LDFLAGS) -o $@ $< $(WORKER_LIB) $(COMMON_LIB) $(LDLIBS)
.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_BIN)
fuzz: ## the fuzzers (FUZZ="NAME…": those), FUZZ_SECONDS each, from their corpora
	@tests/support/deps.sh lint
	@$(MAKE) -j$(JOBS) fuzz-programs CC=clang BUILD=$(BUILD)/fuzz SANITIZE=address,undefined OPTIMIZE='-O1 -g' CFLAGS=-fsanitize=fuzzer-no-link
	@BUILD=$(BUILD)/fuzz FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ="$(FUZZ)" tests/support/fuzz.sh

$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(WORKER_LIB) $(COMMON_LIB)
	@mkdir -p $(@D)
	$(link)
bench: ## measure: prints every figure that the documents quote
	@tests/support/deps.sh bench
	@$(MAKE) -j$(JOBS) programs $(BENCH_BIN)
	@BUILD=$(BUILD) tests/support/bench.sh

demo: ## a small organization under attack, on this machine; ends by itself, under two minutes
	@tests/support/deps.sh all
	@$(MAKE) -j$(JOBS) programs
	@BUILD=$(BUILD) tests/support/demo.sh

docs: programs ## write schemas/config.md from the tables of settings
	@tests/support/settings_page.sh $(BUILD) > schemas/config.md

install: all ## install programs, playbooks, schemas and models under PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/parapet
	install -m 755 $(BUILD)/parapet $(BUILD)/parapet-collector $(BUILD)/parapet-worker $(DESTDIR)$(PREFIX)/bin
	cp -r $(BUILD)/models worker/playbooks schemas deploy/config $(DESTDIR)$(PREFIX)/share/parapet/

clean: ## remove build/
	rm -rf $(BUILD)

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/obj/*/*/*.d $(BUILD)/obj/*/*/*/*.d $(BUILD)/tests/unit/*/*.d)
