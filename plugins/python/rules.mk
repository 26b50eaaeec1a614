# SPDX-License-Identifier: BSD-3-Clause
# The python plugin, where Python can be embedded.
python_HERE := $(call found,python,pkg-config --atleast-version=3.9 python3-embed,libpython3-dev)
ifeq ($(python_HERE),1)
PLUGIN_NAMES += python
python_SOURCES = $(wildcard plugins/python/*.c) plugins/shared/input.c
python_LIBS = $(shell pkg-config --libs python3-embed)
python_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags python3-embed)) \
 -DPYTHON_PROGRAM='"$(shell pkg-config --variable=exec_prefix python3-embed)/bin/python3"'
$(filter $(B)/plugins/python/%,$(python_SOURCES:%.c=$(B)/%.o)): PLUGIN_CFLAGS += $(python_CFLAGS)
# Modules in C that scripts import are not unloaded, nor is what they use.
$(B)/plugins/nbdkit-python-plugin.so: ALL_LDFLAGS += -Wl,-z,nodelete
endif
