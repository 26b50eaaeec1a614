/* SPDX-License-Identifier: BSD-3-Clause */
/* The module outline: which scripts surely have no get_size. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../sh-plugin/outline.h"

static const struct {
    const char *name;
    const char *text;
    bool lacks_it;
} rows[] = {
    { "a typing error", "case $1 in\nget_szie) echo 1M ;;\n*) exit 2 ;;\nesac\n", true },
    { "quotes around $1", "case \"$1\" in get_szie) ;; *) exit 2 ;; esac\n", true },
    { "braces around it", "case ${1} in get_szie) ;; esac\n", true },
    { "a script of comparisons",
      "[ \"$1\" = get_szie ] && exit\nif test $1 = pread; then exit; fi\nexit 2\n", true },
    { "the method", "case $1 in get_size) echo 1M ;; esac\n", false },
    { "a quoted pattern", "case $1 in \"get_size\") echo 1M ;; esac\n", false },
    { "one of several", "case $1 in open|get_size|close) echo 1M ;; esac\n", false },
    { "a pattern that begins so", "case $1 in get_*) echo 1M ;; esac\n", false },
    { "one that ends so", "case $1 in (*_size) echo 1M ;; esac\n", false },
    { "one with a class", "case $1 in get[_-]size) echo 1M ;; esac\n", false },
    { "a part of a longer word is no proof", "get_sizes) ;;", false },
    { "\"$@\"", "exec ./other \"$@\"\n", false },
    { "$*", "./other $*\n", false },
    { "${@:2}", "$1 ${@:2}\n", false },
    { "$1 for another program", "exec ./other \"$1\" \"$2\"\n", false },
    { "$1 for a function", "case $1 in pread) f \"$1\" ;; esac\n", false },
    { "$1 in a variable", "method=$1\ncase $method in x) ;; esac\n", false },
    { "$10 is another one", "case $1 in pread) echo $10 ;; esac\n", true },
    { "eval", "eval $code\ncase $1 in x) ;; esac\n", false },
    { "a file that is read", "  . ./common.sh\ncase $1 in x) ;; esac\n", false },
    { "the same behind a semicolon", "x=1;. ./common.sh\n", false },
    { "source", "source ./common.sh\n", false },
    { "a sentence ends", "# The end. Really.\ncase $1 in x) ;; esac\n", true },
    { "nothing", "", true },
};

int main(void)
{
    enum { COUNT = sizeof rows / sizeof *rows };
    int failures = 0;

    printf("1..%d\n", COUNT);
    for (int i = 0; i < COUNT; i++) {
        char *text = strdup(rows[i].text);
        bool is_ok = outline_lacks_method(text, "get_size") == rows[i].lacks_it;
        printf("%sok %d - %s\n", is_ok ? "" : "not ", i + 1, rows[i].name);
        failures += !is_ok;
        free(text);
    }
    return failures > 0;
}
