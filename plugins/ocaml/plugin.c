// SPDX-License-Identifier: BSD-3-Clause
/*
 * Owns the table that the server gets, and how it comes about: plugin_init()
 * starts OCaml, whose top level calls NBDKit.register_plugin. Entered by the
 * main thread; calls callbacks, call and runtime.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <stdlib.h>
#include <string.h>

#include <caml/callback.h>
#include <caml/fail.h>
#include <caml/memory.h>
#include <caml/version.h>

#include "call.h"
#include "callbacks.h"
#include "methods.h"
#include "runtime.h"

static struct nbdkit_plugin plugin = {
    ._struct_size = sizeof plugin,
    ._api_version = NBDKIT_API_VERSION,
};

CAMLprim value nbdlab_ocaml_register(value facts, value callbacks);

/* A copy that stays, as the whole table does. */
static const char *keep(value text)
{
    char *copy = strdup(String_val(text));

    if (!copy)
        caml_raise_out_of_memory();
    return copy;
}

static const char *keep_option(value facts, enum fact fact)
{
    value option = Field(facts, fact);

    return Is_block(option) ? keep(Field(option, 0)) : NULL;
}

CAMLprim value nbdlab_ocaml_register(value facts, value callbacks)
{
    CAMLparam2(facts, callbacks);

    if (call_is_registered())
        caml_failwith("NBDKit.register_plugin was called twice: a plugin registers only once");
    plugin.name = keep(Field(facts, FACT_NAME));
    plugin.longname = keep_option(facts, FACT_LONGNAME);
    plugin.version = keep_option(facts, FACT_VERSION);
    plugin.description = keep_option(facts, FACT_DESCRIPTION);
    plugin.config_help = keep_option(facts, FACT_CONFIG_HELP);
    plugin.magic_config_key = keep_option(facts, FACT_MAGIC_CONFIG_KEY);
    call_set_callbacks(callbacks);
    /* Who does not say that callbacks may run beside each other gets them in turn. */
    plugin._thread_model = call_has(METHOD_THREAD_MODEL) && runtime_has_threads()
                               ? NBDKIT_THREAD_MODEL_PARALLEL
                               : NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS;
    callbacks_fill(&plugin);
    CAMLreturn(Val_unit);
}

static int check_start(value result)
{
    if (Is_exception_result(result)) {
        int error;
        char *text = call_describe("top level", Extract_exception(result), &error);
        nbdkit_error("the plugin's OCaml code failed while it was loaded: %s", text);
        caml_stat_free(text);
        return -1;
    }
    if (call_is_registered())
        return 0;
    nbdkit_error("the plugin's OCaml code does not call NBDKit.register_plugin; end it with "
                 "let () = NBDKit.register_plugin ~name:... ()");
    return -1;
}

extern NBDKIT_DLL_PUBLIC struct nbdkit_plugin *plugin_init(void);

NBDKIT_DLL_PUBLIC struct nbdkit_plugin *plugin_init(void)
{
    /* A thread that OCaml 5 does not know cannot use it at all. */
    if (OCAML_VERSION_MAJOR >= 5 && !runtime_has_threads()) {
        nbdkit_error("link the plugin with threads: -I +unix -I +threads unix.cmxa threads.cmxa");
        return NULL;
    }
    int result = check_start(runtime_start());
    runtime_leave();
    return result < 0 ? NULL : &plugin;
}
