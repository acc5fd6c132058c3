# Countersign. `make help` explains the targets.
VERSION  := 0.1.0
CC       ?= cc
BUILD    ?= build
SAN      ?=
WERROR   ?=

# The packages of Debian that each step needs; this list is the only one. `make demo` and
# `make check` install what is missing.
BUILD_PACKAGES := gcc pkg-config libetpan-dev libgnutls28-dev libgpgme-dev libsqlite3-dev libsodium-dev \
    libseccomp-dev libconfuse-dev libidn2-dev libunistring-dev libjansson-dev
RUN_PACKAGES   := gnupg gpg-agent gpgconf ca-certificates
CHECK_PACKAGES := clang libclang-rt-14-dev libcmocka-dev python3 sqlite3 sq faketime strace procps
ROOT_PACKAGES  := iproute2 openssl curl

ROOMS    := base secret text print enroll mail keys store confine
LIBS     := -letpan -lgnutls -lgpgme -lassuan -lgpg-error -lsqlite3 -lsodium -lseccomp -lconfuse -lidn2 \
    -lunistring -ljansson
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

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libcountersign.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LIBS)
unit: $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)  ## build the unit tests

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

format:  ## rewrite the sources in house style (clang-format)
	clang-format -i $$(git ls-files '*.c' '*.h')
clean:  ## remove what was built
	rm -rf $(BUILD)
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*##/\1\t/' | expand -t 14
.PHONY: all unit format clean help
