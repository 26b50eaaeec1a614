# SPDX-License-Identifier: BSD-3-Clause
# The cc plugin knows the compiler that it was built with, and where the headers will be.

CC_DEFINES = -DCOMPILER='"$(CC)"' -DINCLUDE_FOLDER='"$(INCLUDEDIR)"'

$(B)/plugins/cc/%.o: PLUGIN_CFLAGS += $(CC_DEFINES)
$(B)/plugins/cc/compile.o: $(B)/plugins/cc/defines

$(B)/plugins/cc/defines: FORCE
	@mkdir -p $(@D)
	@echo '$(CC_DEFINES)' | cmp -s - $@ || echo '$(CC_DEFINES)' >$@

# In the build tree the headers are beside the folder of plugins.
EXTRA += $(B)/include
$(B)/include:
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)ln -srfn include $@
