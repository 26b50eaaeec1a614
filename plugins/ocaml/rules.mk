# SPDX-License-Identifier: BSD-3-Clause
# Plugins in OCaml: what their authors compile with, in $(B)/ocaml/, and the tests' plugins.

ocaml_HERE := $(call found,ocaml,ocamlopt -version,ocaml-nox)

ifeq ($(ocaml_HERE),1)
OCAMLOPT = ocamlopt
OCAML_OBJECTS = $(patsubst %.c,$(B)/%.o,$(wildcard plugins/ocaml/*.c))
OCAML_FILES = $(patsubst %,$(B)/ocaml/%,NBDKit.mli NBDKit.cmi NBDKit.cmx NBDKit.o libnbdkitocaml.a)
OCAML_TESTS = $(B)/tests/contract/ocaml.so \
              $(patsubst examples/%.ml,$(B)/examples/ocaml-%.so,$(wildcard examples/*.ml))

EXTRA += $(OCAML_FILES)
EXTRA_TESTS += $(OCAML_TESTS)
EXTRA_BENCH += $(B)/examples/ocaml-ramdisk.so
EXTRA_INSTALLS += install-ocaml
endif

# OCaml's headers are not ours to have warnings in.
$(OCAML_OBJECTS): PLUGIN_CFLAGS += -isystem $(shell ocamlopt -where) -DCAML_NAME_SPACE

$(B)/ocaml/libnbdkitocaml.a: $(OCAML_OBJECTS)
	@mkdir -p $(@D)
	$(call say,AR  )
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

# The compiler writes its results beside the source, so that the source goes where they should be.
$(B)/ocaml/NBDKit.ml $(B)/ocaml/NBDKit.mli: $(B)/ocaml/%: plugins/ocaml/%
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(B)/ocaml/NBDKit.cmi: $(B)/ocaml/NBDKit.mli
	$(call say,OCAML)
	$(Q)$(OCAMLOPT) -I +unix -c $<

$(B)/ocaml/NBDKit.cmx: $(B)/ocaml/NBDKit.ml $(B)/ocaml/NBDKit.cmi
	$(call say,OCAML)
	$(Q)$(OCAMLOPT) -g -I +unix -I $(@D) -c $<

$(B)/ocaml/NBDKit.o: $(B)/ocaml/NBDKit.cmx ;

# Each is compiled in a folder of its own, since the compiler leaves files beside the source.
define OCAML_PLUGIN
	@mkdir -p $(basename $@)-ml
	$(call say,OCAML)
	$(Q)cp $< $(basename $@)-ml/disk.ml
	$(Q)$(OCAMLOPT) -g -output-obj -runtime-variant _pic -o $@ -I +unix -I +threads -I $(B)/ocaml \
	 -I $(basename $@)-ml unix.cmxa threads.cmxa NBDKit.cmx $(basename $@)-ml/disk.ml -cclib -lnbdkitocaml
endef

$(B)/tests/contract/ocaml.so: tests/contract/contract.ml $(OCAML_FILES)
	$(OCAML_PLUGIN)

$(patsubst examples/%.ml,$(B)/examples/ocaml-%.so,$(wildcard examples/*.ml)): \
 $(B)/examples/ocaml-%.so: examples/%.ml $(OCAML_FILES)
	$(OCAML_PLUGIN)

.PHONY: install-ocaml
install-ocaml: $(OCAML_FILES)
	install -d $(DESTDIR)$(LIBDIR)/nbdlab/ocaml
	install -m 644 $(OCAML_FILES) $(DESTDIR)$(LIBDIR)/nbdlab/ocaml
