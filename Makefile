# Countersign. `make help` explains the targets.
VERSION  := 0.1.0
CC       ?= cc
BUILD    ?= build
SAN      ?=
WERROR   ?=

# The packages of Debian that each step needs; this list is the only one. `make demo` and
# `make check` install what is missing.
BUILD_PACKAGES := gcc pkg-config libetpan-dev libgnutls28-dev libgpgme-dev libsqlite3-dev libsodium-dev \
    libseccomp-dev libconfuse-dev libidn2-dev libunistring-dev libjansson-dev libqrencode-dev
RUN_PACKAGES   := gnupg gpg-agent gpgconf ca-certificates
CHECK_PACKAGES := clang libclang-rt-14-dev libcmocka-dev python3 sqlite3 sq sq-wot faketime procps mandoc git openssl strace tmux neomutt s-nail
ROOT_PACKAGES  := iproute2 curl dirmngr
LONG_PACKAGES  := chromium fonts-dejavu-core zbar-tools
# Servers that the tests start; unpacked below build/fixtures, not installed.
FIXTURE_dovecot := dovecot-core dovecot-imapd dovecot-lmtpd
FIXTURE_postfix := postfix
FIXTURE_cyrus   := cyrus-imapd sasl2-bin libsasl2-modules
FIXTURE_exim    := exim4-daemon-light libnss-wrapper

ROOMS    := base secret text print draw enroll mail keys store confine
LIBS     := -letpan -lgnutls -lgpgme -lassuan -lgpg-error -lsqlite3 -lsodium -lseccomp -lconfuse -lidn2 \
    -lunistring -ljansson -lqrencode
WARN     := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
    -Wcast-qual -Wundef -Wvla $(if $(WERROR),-Werror)
HARDEN   := -fstack-protector-strong -fPIE -fno-strict-aliasing -fno-common \
    $(if $(SAN),,-D_FORTIFY_SOURCE=2 -fstack-clash-protection)
CFLAGS   ?= -O2 -g
override CFLAGS += -std=c17 -pthread $(WARN) $(HARDEN) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
override CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DCOUNTERSIGN_VERSION='"$(VERSION)"' -Icommon -Iagent -I$(BUILD)/gen
override LDFLAGS += -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(if $(SAN),-fsanitize=$(SAN))

COMMON_SRC := $(foreach r,$(ROOMS),$(wildcard common/$(r)/*.c))
PROGRAMS   := countersignd countersignctl countersign
SRC_countersignd   := $(wildcard agent/authority/*.c agent/shared/*.c)
SRC_countersignctl := $(wildcard agent/admin/*.c agent/shared/*.c)
SRC_countersign    := $(wildcard agent/client/*.c)
UNIT_SRC   := $(wildcard tests/unit/*.c)
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

all: $(PROGRAMS:%=$(BUILD)/%)  ## build the three programs under build/
.DEFAULT_GOAL := all

$(BUILD)/libcountersign.a: $(call obj,$(COMMON_SRC))
	@rm -f $@ && $(AR) rcs $@ $^
define program
$(BUILD)/$(1): $(call obj,$(SRC_$(1))) $(BUILD)/libcountersign.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $$@ $$^ $(LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# schema.sql is compiled in as a string, so that the file can be read as prose.
$(BUILD)/gen/schema.h: common/store/schema.sql
	@mkdir -p $(@D)
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/' $< > $@
$(call obj,$(wildcard common/store/*.c)): $(BUILD)/gen/schema.h

# Texts for people are compiled in likewise; another language is another file.
$(BUILD)/gen/templates.h: $(wildcard agent/admin/templates/*)
	@mkdir -p $(@D)
	for f in $^; do echo "{ \"$${f##*/}\","; sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/' $$f; echo '},'; done > $@
$(call obj,agent/admin/template.c): $(BUILD)/gen/templates.h

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libcountersign.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)
unit: $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)
tools: $(BUILD)/populate $(BUILD)/forge $(BUILD)/open_release $(BUILD)/print_reasons $(BUILD)/moved.so
$(BUILD)/moved.so: tests/lib/moved.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE $(WARN) -O1 -shared -fPIC -o $@ $<
$(BUILD)/populate $(BUILD)/print_states $(BUILD)/print_reasons $(BUILD)/forge $(BUILD)/open_release: $(BUILD)/%: $(BUILD)/obj/tests/lib/%.o $(BUILD)/libcountersign.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/states.md: $(BUILD)/print_states
	$< > $@
docs/states.md: $(BUILD)/states.md
	cp $< $@

# ---- tests ----
UNIT   := $(UNIT_SRC:tests/unit/%.c=build/unit/%)
GATES  := $(wildcard tests/gates/*.sh)
FLOWS  := $(filter-out tests/flow/root-% tests/flow/long-%,$(wildcard tests/flow/*.sh))
ROOTS  := $(wildcard tests/flow/root-*.sh)
LONGS  := $(wildcard tests/flow/long-*.sh)
SAN_FLOWS := tests/flow/enroll.sh tests/flow/plain.sh

check:  ## install what the tests need, build, and run them all
	@$(MAKE) -s packages WHICH="$(BUILD_PACKAGES) $(RUN_PACKAGES) $(CHECK_PACKAGES)"
	@$(MAKE) -s fixture-dovecot fixture-postfix
	@$(MAKE) -s -j2 WERROR=1 all unit tools build/states.md
	@$(MAKE) -s -j2 WERROR=1 CC=clang BUILD=build/clang all
	@$(MAKE) -s -j2 WERROR=1 CFLAGS='-O1 -g' SAN=address,undefined BUILD=build/san all unit tools
	@tests/run $(FLOWS) $(SAN_FLOWS:%=%@build/san) $(UNIT) $(UNIT:build/%=build/san/%@build/san) $(GATES)
check-root:  ## what needs root: network namespaces
	@$(MAKE) -s packages WHICH="$(BUILD_PACKAGES) $(RUN_PACKAGES) $(CHECK_PACKAGES) $(ROOT_PACKAGES)"
	@$(MAKE) -s -j2 all tools
	@tests/run $(ROOTS)
check-long:  ## what takes long: many enrollments in one daemon, second servers, pages in a browser
	@$(MAKE) -s packages WHICH="$(BUILD_PACKAGES) $(RUN_PACKAGES) $(CHECK_PACKAGES) $(LONG_PACKAGES)"
	@$(MAKE) -s fixture-dovecot fixture-postfix fixture-cyrus fixture-exim
	@$(MAKE) -s -j2 all tools
	@TEST_SECONDS=3600 tests/run $(LONGS)
demo:  ## install what is missing, build, and tell the whole story under build/demo
	@$(MAKE) -s packages WHICH="$(BUILD_PACKAGES) $(RUN_PACKAGES)"
	@$(MAKE) -s -j2 all
	@samples/demo
flow:  ## the end-to-end tests only
	@$(MAKE) -s fixture-dovecot fixture-postfix
	@$(MAKE) -s -j2 all tools
	@tests/run $(FLOWS)
bench:  ## what an idle daemon (BENCH_SECONDS=60) and a table of people (BULK_LINES=100000) cost
	@$(MAKE) -s packages WHICH="$(BUILD_PACKAGES) $(RUN_PACKAGES) $(CHECK_PACKAGES)"
	@$(MAKE) -s fixture-dovecot fixture-postfix
	@$(MAKE) -s -j2 all tools
	@for b in tests/bench/*.sh; do $$b || exit 1; done
fuzz:  ## FUZZ_SECONDS=5 for each fuzz target (clang, libFuzzer)
	@$(MAKE) -s packages WHICH="$(BUILD_PACKAGES) $(CHECK_PACKAGES)"
	@$(MAKE) -s -j2 CC=clang CFLAGS='-O1 -g' SAN=fuzzer-no-link,address,undefined BUILD=build/fuzz fuzzers
	@for f in $(FUZZERS); do mkdir -p build/fuzz/corpus/$$f; log=build/fuzz/$$f.log; \
	    build/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -artifact_prefix=build/fuzz/ build/fuzz/corpus/$$f \
	    tests/fuzz/corpus/$${f#fuzz_} >$$log 2>&1 || { tail -n 30 $$log; exit 1; }; \
	    echo "$$f: $$(sed -n 's/.*number_of_executed_units: *//p' $$log) runs without a finding"; done
FUZZ_SECONDS ?= 5
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
fuzzers: $(FUZZERS:%=$(BUILD)/%)
$(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/libcountersign.a
	$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

# Asks for root only when something is missing.
packages:
	@missing=$$(for p in $(WHICH); do dpkg-query -W -f '$${Status}\n' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "Installing from Debian:" $$missing; \
		as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
		$$as_root sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$$@" >/dev/null' sh $$missing; \
	fi

fixture-%:
	@tests/lib/unpack $* $(FIXTURE_$*)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

prefix ?= /usr/local
install: all  ## install under DESTDIR and prefix (/usr/local)
	install -d $(DESTDIR)$(prefix)/bin $(DESTDIR)$(prefix)/sbin $(DESTDIR)$(prefix)/share/man/man1 \
	    $(DESTDIR)$(prefix)/share/man/man5 $(DESTDIR)$(prefix)/share/man/man8
	install -m 755 $(BUILD)/countersign $(DESTDIR)$(prefix)/bin/
	install -m 755 $(BUILD)/countersignd $(BUILD)/countersignctl $(DESTDIR)$(prefix)/sbin/
	for s in 1 5 8; do install -m 644 docs/man/*.$$s $(DESTDIR)$(prefix)/share/man/man$$s/; done
	install -d $(DESTDIR)$(prefix)/share/doc/countersign/templates
	install -m 644 agent/admin/templates/* $(DESTDIR)$(prefix)/share/doc/countersign/templates/
	install -D -m 644 samples/countersign.desktop $(DESTDIR)$(prefix)/share/applications/countersign.desktop
	install -D -m 644 samples/countersign-mime.xml $(DESTDIR)$(prefix)/share/mime/packages/countersign.xml
	install -D -m 644 samples/mailcap $(DESTDIR)$(prefix)/lib/mime/packages/countersign
	install -d $(DESTDIR)$(prefix)/share/doc/countersign
	install -m 644 samples/*.conf samples/*.cf samples/mailcap samples/mutt samples/aerc samples/thunderbird.md samples/log-verify.py \
	    $(DESTDIR)$(prefix)/share/doc/countersign/
format:  ## rewrite the sources in house style (clang-format)
	clang-format -i $$(git ls-files '*.c' '*.h')
dist:  ## build/countersign-VERSION.tar.gz of what is committed
	@mkdir -p $(BUILD) && git archive --prefix=countersign-$(VERSION)/ -o $(BUILD)/countersign-$(VERSION).tar.gz HEAD
clean:  ## remove what was built
	rm -rf $(BUILD)
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*##/\1\t/' | expand -t 14
.PHONY: all unit tools check check-root check-long demo flow bench fuzz fuzzers packages install format dist clean help
