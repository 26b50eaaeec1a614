# SPDX-License-Identifier: BSD-3-Clause
#
#   make                      the program and its plugins, in build/
#   make demo                 a tour with real clients
#   make check                everything a change must pass
#   make check SANITIZE=address,undefined     the same under sanitizers
#   make check SH_PROCESS=worker              the same, scripts with workers where they can
#   make bench                how fast it is beside nbdkit; ROWS=PATTERN runs some rows only
#   make bench-check          can all rows of the benchmark be run, and is the data right?
#   make peers-check          with newer clients, which ../shared/peers.sh installs
#   make lint                 style and static analysis
#   make TLS=0 ZSTD=0         without TLS, though GnuTLS is there; without allocator=zstd
#   make install DESTDIR= PREFIX=/usr/local [NBDKIT_COMPAT=1]

VERSION = 0.1.0
API_VERSION = 1.36.0

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include/nbdlab
MANDIR ?= $(PREFIX)/share/man
PLUGINDIR ?= $(LIBDIR)/nbdlab/plugins
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
SYSCONFDIR ?= /etc

# Where the plugins of an installed nbdkit may be, with colons between; it need not be there yet.
empty :=
NBDKIT_PLUGINDIRS ?= $(subst $(empty) $(empty),:,$(patsubst %,/usr/%/nbdkit/plugins, \
                     $(patsubst %,lib/%,$(shell $(CC) -print-multiarch 2>/dev/null)) lib64 lib local/lib))

SANITIZE ?=

# TLS is there where GnuTLS is.
TLS_ORIGIN := $(origin TLS)
TLS ?= $(shell pkg-config --exists 'gnutls >= 3.6.4' 2>/dev/null && echo 1 || echo 0)
TLS := $(TLS)
ifeq ($(TLS)$(TLS_ORIGIN)$(filter check demo lint clean bench bench-check,$(MAKECMDGOALS)),0undefined)
$(info pkg-config finds no GnuTLS (Debian's libgnutls28-dev), so the program will know no TLS.)
endif
ifeq ($(TLS),1)
TLS_CFLAGS := $(shell pkg-config --cflags gnutls)
TLS_LIBS := $(shell pkg-config --libs gnutls)
endif

# The languages that plugins can be written in, beside C and shell. One whose tools are not there
# is left out: $(call found,LANGUAGE,COMMAND,PACKAGES) is 1 where COMMAND succeeds, and says what is
# missing where it does not.
LANGUAGES ?= python ocaml rust
found = $(if $(filter $(1),$(LANGUAGES)),$(if $(shell { $(2); } >/dev/null 2>&1 && echo 1),1,$(if \
        $(filter check demo lint clean bench bench-check,$(MAKECMDGOALS)),,$(info \
        There will be no plugins in $(1): `$(2)` fails (Debian has $(3)).))))

# One line per step; V=1 shows the commands, V=2 nothing.
V ?= 0
Q = $(if $(filter 1,$(V)),,@)
say = $(if $(filter 0,$(V)),@echo '  $(1) $@')

B = build$(SANITIZE:%=/%)

CFLAGS ?= -O2 -g
WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
           -Wcast-qual -Wvla $(WERROR)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread $(WARNINGS) \
             $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) $(CFLAGS)
ALL_LDFLAGS = -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
PLUGIN_CFLAGS = $(ALL_CFLAGS) -fPIC -fvisibility=hidden -Iinclude -iquote plugins/shared
DEFINES = -DNBDLAB_VERSION='"$(VERSION)"' -DPLUGIN_FOLDER='"$(PLUGINDIR)"' \
          -DBIN_FOLDER='"$(BINDIR)"' -DMAN_FOLDER='"$(MANDIR)"' -DLIB_FOLDER='"$(LIBDIR)"' \
          -DSYSCONF_FOLDER='"$(SYSCONFDIR)"' -DNBDKIT_FOLDERS='"$(NBDKIT_PLUGINDIRS)"' \
          -DHAS_ZSTD=$(ZSTD)

TLS_OBJECTS = $(patsubst %,$(B)/src/%.o,tls tls_certificates tls_credentials tls_file)
PLAIN_OBJECTS = $(filter-out $(TLS_OBJECTS),$(patsubst src/%.c,$(B)/src/%.o,$(wildcard src/*.c))) \
                $(B)/plugins/shared/exitfd.o
SERVER_OBJECTS = $(if $(filter 1,$(TLS)),\
                 $(filter-out %/tls_absent.o,$(PLAIN_OBJECTS)) $(TLS_OBJECTS),$(PLAIN_OBJECTS))
# What several plugins, and in part the server, have a copy of.
SHARED = $(wildcard plugins/shared/*.c)
SH_COMMON = $(filter-out sh-plugin/sh.c sh-plugin/eval.c,$(wildcard sh-plugin/*.c)) $(SHARED)
sh_SOURCES = sh-plugin/sh.c $(SH_COMMON)
eval_SOURCES = sh-plugin/eval.c $(SH_COMMON)
# The memory plugin compresses where libzstd is.
ZSTD_ORIGIN := $(origin ZSTD)
ZSTD ?= $(shell pkg-config --exists libzstd 2>/dev/null && echo 1 || echo 0)
ZSTD := $(ZSTD)
ifeq ($(ZSTD)$(ZSTD_ORIGIN)$(filter check demo lint clean bench bench-check,$(MAKECMDGOALS)),0undefined)
$(info pkg-config finds no libzstd (Debian's libzstd-dev), so there will be no allocator=zstd.)
endif
memory_SOURCES = $(addprefix plugins/memory/,memory.c pages.c \
                 $(if $(filter 1,$(ZSTD)),packed.c,packed_absent.c))
ifeq ($(ZSTD),1)
memory_LIBS := $(shell pkg-config --libs libzstd)
$(B)/plugins/memory/packed.o: PLUGIN_CFLAGS += $(shell pkg-config --cflags libzstd)
endif
file_SOURCES = $(wildcard plugins/file/*.c) plugins/shared/fileio.c
cc_SOURCES = $(wildcard plugins/cc/*.c) plugins/shared/input.c plugins/shared/exitfd.c
PLUGIN_NAMES = $(if $(wildcard sh-plugin/sh.c),sh eval) memory file cc
PLUGINS = $(PLUGIN_NAMES:%=$(B)/plugins/nbdkit-%-plugin.so)
# Further files that all, tests, the benchmark and install make; the languages add theirs.
EXTRA =
EXTRA_BENCH = $(B)/examples/ramdisk.so
EXTRA_TESTS = $(B)/tests/contract/c.so
EXTRA_INSTALLS =

BENCH = $(patsubst %,$(B)/bench/%,nbdload bareloop firstreply heavy.so)
UNIT_TESTS = $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
TEST_PLUGINS = $(patsubst tests/plugins/%.c,$(B)/tests/plugins/%.so,$(wildcard tests/plugins/*.c)) \
               $(patsubst examples/%.c,$(B)/examples/%.so,$(wildcard examples/*.c))

.DELETE_ON_ERROR:
.PHONY: all tests check peers-check bench bench-check bench-programs demo lint install install-man clean

.DEFAULT_GOAL = all
include $(wildcard plugins/*/rules.mk)

all: $(B)/nbdlab $(PLUGINS) $(EXTRA) $(if $(filter build,$(B)),nbdlab)

# The program finds its plugins beside the file that the link points to.
nbdlab: $(B)/nbdlab
	$(call say,LINK)
	$(Q)ln -sfn $< $@

# Objects depend on the flags they were built with.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(DEFINES) $(ALL_LDFLAGS) TLS=$(TLS) ZSTD=$(ZSTD)' | cmp -s - $@ || \
	 echo '$(CC) $(ALL_CFLAGS) $(DEFINES) $(ALL_LDFLAGS) TLS=$(TLS) ZSTD=$(ZSTD)' >$@
FORCE:

$(B)/nbdlab: $(SERVER_OBJECTS) src/symbols.list
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--dynamic-list=src/symbols.list -o $@ $(SERVER_OBJECTS) \
	 -ldl -lm $(TLS_LIBS)

# What a machine without GnuTLS gets, for the tests.
$(B)/nbdlab-without-tls: $(PLAIN_OBJECTS) src/symbols.list
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--dynamic-list=src/symbols.list -o $@ $(PLAIN_OBJECTS) -ldl -lm

$(TLS_OBJECTS): ALL_CFLAGS += $(TLS_CFLAGS)

$(B)/src/%.o: src/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(ALL_CFLAGS) $(DEFINES) -Isrc -iquote plugins/shared -Iinclude -MMD -MP -c -o $@ $<

$(B)/sh-plugin/%.o: sh-plugin/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(PLUGIN_CFLAGS) -DNBDLAB_VERSION='"$(VERSION)"' -MMD -MP -c -o $@ $<

$(B)/plugins/%.o: plugins/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(PLUGIN_CFLAGS) -DNBDLAB_VERSION='"$(VERSION)"' -MMD -MP -c -o $@ $<

define PLUGIN_RULE
$(B)/plugins/nbdkit-$(1)-plugin.so: $$($(1)_SOURCES:%.c=$(B)/%.o)
	@mkdir -p $$(@D)
	$$(call say,LINK)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -shared -o $$@ $$^ $$($(1)_LIBS)
endef
$(foreach name,$(PLUGIN_NAMES),$(eval $(call PLUGIN_RULE,$(name))))

tests: all $(BENCH) $(B)/nbdlab-without-tls $(UNIT_TESTS) $(TEST_PLUGINS) $(EXTRA_TESTS)

# What a test includes, by a path with ../, is not to be linked once more.
$(B)/tests/test_%: tests/unit/test_%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(ALL_CFLAGS) -iquote src -iquote sh-plugin -iquote plugins/shared -Iinclude -MMD -MP -MF $@.d -o $@ \
	 $(filter-out tests/unit/../%,$(filter %.c,$^)) $(ALL_LDFLAGS) -lm

$(B)/tests/plugins/%.so: tests/plugins/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(PLUGIN_CFLAGS) -MMD -MP -MF $@.d -shared -o $@ $< $(ALL_LDFLAGS)

$(B)/tests/contract/c.so: tests/contract/contract.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(PLUGIN_CFLAGS) -MMD -MP -MF $@.d -shared -o $@ $< $(ALL_LDFLAGS)

$(B)/examples/%.so: examples/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(PLUGIN_CFLAGS) -MMD -MP -MF $@.d -shared -o $@ $< $(ALL_LDFLAGS)

# The modules that each unit test is linked with.
$(B)/tests/test_status: sh-plugin/status.c
$(B)/tests/test_nearest: src/nearest.c
$(B)/tests/test_outline: sh-plugin/outline.c
$(B)/tests/test_sh_parse: sh-plugin/parse.c sh-plugin/buf.c
$(B)/tests/test_map: tests/unit/map_stand_ins.c sh-plugin/map.c sh-plugin/map_table.c sh-plugin/map_parse.c sh-plugin/parse.c \
	sh-plugin/buf.c
$(B)/tests/test_map_parse: sh-plugin/map_parse.c sh-plugin/parse.c
$(B)/tests/test_orphans: sh-plugin/orphans.c sh-plugin/pids.c sh-plugin/proc.c
$(B)/tests/test_parse: src/parse.c
$(B)/tests/test_utf8: src/utf8.c
$(B)/tests/test_spares: src/spares.c
$(B)/tests/test_sparse: src/sparse.c

# The programs of the benchmark. They share with the server what is pure.
bench-programs: $(BENCH) $(EXTRA_BENCH)

$(B)/bench/%.o: bench/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(ALL_CFLAGS) -iquote src -MMD -MP -c -o $@ $<

$(B)/bench/nbdload: $(patsubst %,$(B)/bench/%.o,nbdload arguments blocks latency outbox pattern \
                      replies slots traffic)
$(B)/bench/bareloop: $(B)/bench/bareloop.o
$(B)/bench/firstreply: $(B)/bench/firstreply.o $(B)/bench/latency.o
$(filter-out %.so,$(BENCH)): $(B)/bench/client.o $(B)/bench/fail.o $(B)/src/parse.o
	$(call say,LINK)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lm

$(B)/bench/heavy.so: bench/heavy.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC  )
	$(Q)$(CC) $(PLUGIN_CFLAGS) -shared -o $@ $< $(ALL_LDFLAGS)

# Prerequisites are installed first; the build itself is a second make, with
# other flags and so in another folder.
CHECK_B = build/$(or $(SANITIZE),check)
# A job for each processor, unless the command line says how many.
JOBS = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
check:
	scripts/need check
	$(MAKE) $(JOBS) B=$(CHECK_B) WERROR=-Werror tests
	NBDLAB=$(CURDIR)/$(CHECK_B)/nbdlab BUILD=$(CURDIR)/$(CHECK_B) SANITIZE=$(SANITIZE) tests/run

# With newer clients than the system's, installed once into a folder of their own.
PEERS ?= build/peers
peers-check:
	scripts/need check
	scripts/peers $(PEERS)
	$(MAKE) $(JOBS) B=$(CHECK_B) WERROR=-Werror tests
	PEERS=$(abspath $(PEERS)) NBDLAB=$(CURDIR)/$(CHECK_B)/nbdlab BUILD=$(CURDIR)/$(CHECK_B) \
	 SANITIZE=$(SANITIZE) tests/run

ROWS ?=
bench bench-check:
	scripts/need bench
	$(MAKE) $(JOBS) all bench-programs
	/usr/bin/python3 -B bench/run.py --build $(B) --rows '$(ROWS)' $(if $(filter %-check,$@),--check)

demo:
	scripts/need demo
	$(MAKE) $(JOBS) all
	NBDLAB=$(CURDIR)/$(B)/nbdlab scripts/demo

lint:
	scripts/need lint
	scripts/lint

install: all install-man $(EXTRA_INSTALLS)
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(PLUGINDIR) $(DESTDIR)$(INCLUDEDIR) \
	 $(DESTDIR)$(PKGCONFIGDIR) $(DESTDIR)$(COMPLETIONDIR)
	install $(B)/nbdlab $(DESTDIR)$(BINDIR)/nbdlab
	install -m 644 $(PLUGINS) $(DESTDIR)$(PLUGINDIR)
	install -m 644 include/*.h $(DESTDIR)$(INCLUDEDIR)
	install -m 644 completions/nbdlab.bash $(DESTDIR)$(COMPLETIONDIR)/nbdlab
	$(call PKGCONFIG,nbdlab,$(VERSION))
ifeq ($(NBDKIT_COMPAT),1)
	ln -sfn nbdlab $(DESTDIR)$(BINDIR)/nbdkit
	$(call PKGCONFIG,nbdkit,$(API_VERSION))
endif

# A page of section 3 is found by each of its names.
install-man:
	install -d $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man3
	install -m 644 man/*.1 $(DESTDIR)$(MANDIR)/man1
	install -m 644 man/*.3 $(DESTDIR)$(MANDIR)/man3
	for page in man/*.3; do \
	 for name in $$(sed -n '/^\.Sh NAME/,/^\.Nd/s/^\.Nm \([^ ]*\).*/\1/p' $$page); do \
	  test $$name.3 = $${page#man/} || \
	   ln -sfn $${page#man/} $(DESTDIR)$(MANDIR)/man3/$$name.3; \
	 done; \
	done

# Plugins link with nothing: the program provides every nbdkit_* function.
define PKGCONFIG
printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$(INCLUDEDIR)' 'plugindir=$(PLUGINDIR)' '' \
 'Name: $(1)' 'Version: $(2)' 'Description: NBD server with shell script and C plugins' \
 'Cflags: -I$${includedir}' 'Libs:' >$(DESTDIR)$(PKGCONFIGDIR)/$(1).pc
endef

# An installation in build/peers that was interrupted may still have /proc mounted.
clean:
	rm -rf --one-file-system build nbdlab

-include $(wildcard $(B)/src/*.d $(B)/sh-plugin/*.d $(B)/plugins/*/*.d $(B)/tests/*.d \
 $(B)/tests/*/*.d $(B)/examples/*.d $(B)/bench/*.d)
