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
    { "capitals", "shopt -s nocasematch\ncase $1 in GET_SIZE) ;; esac\n", false },
    { "nothing", "", true },
    { "a default of $1", "case ${1:-help} in x) ;; esac\n[ \"${1-}\" = y ]\n", true },
    { "$1 without its beginning", "case ${1#get_} in size) echo 1M ;; esac\n", false },
    { "$1 in capitals", "case \"${1^^}\" in GET_SIZE) echo 1M ;; esac\n", false },
    { "a part of $1", "case ${1:0:5} in x) echo 1M ;; esac\n", false },
    { "a pattern that is quoted in part", "case $1 in \"get_\"*) echo 1M ;; esac\n", false },
    { "the name, quoted in part", "case $1 in get\\_'size') echo 1M ;; esac\n", false },
    { "a regular expression", "[[ $1 =~ size$ ]] && echo 1M\n", false },
    { "extended patterns", "case $1 in get_@(siz|x)?) echo 1M ;; esac\n", false },
    { "a function whose name ends in test", "mytest $1\n", false },
    { "[[", "if [[ $1 == get_szie ]]; then exit; fi\n", true },
    { "! [", "if ! test \"$1\" = x; then exit 2; fi\n", true },
    { "a file that is read, behind a tab", ".\t./common.sh\n", false },
    { "a file that is read in a subshell", "(. ./common.sh)\n", false },
};

static const struct {
    const char *name;
    const char *text;
    bool is_named;
} mentions[] = {
    { "a case", "case $1 in\n  pwrite) cat ;;\nesac\n", true },
    { "a function", "pwrite() { cat; }\n", true },
    { "a comment", "#!/bin/sh\n# without pwrite\n  # no pwrite\ncase $1 in x) ;; esac\n", false },
    { "a comment and a case", "# pwrite\npwrite) cat ;;\n", true },
    { "neither", "case $1 in pread) ;; esac", false },
};

static int check_mentions(int number)
{
    int failures = 0;

    for (size_t i = 0; i < sizeof mentions / sizeof *mentions; i++) {
        bool is_ok = outline_names_method(mentions[i].text, "pwrite") == mentions[i].is_named;
        printf("%sok %d - pwrite: %s\n", is_ok ? "" : "not ", ++number, mentions[i].name);
        failures += !is_ok;
    }
    return failures;
}

int main(void)
{
    enum { COUNT = sizeof rows / sizeof *rows };
    int failures = 0;

    printf("1..%zu\n", COUNT + sizeof mentions / sizeof *mentions);
    for (int i = 0; i < COUNT; i++) {
        char *text = strdup(rows[i].text);
        bool is_ok = outline_lacks_method(text, "get_size") == rows[i].lacks_it;
        printf("%sok %d - %s\n", is_ok ? "" : "not ", i + 1, rows[i].name);
        failures += !is_ok;
        free(text);
    }
    return failures + check_mentions(COUNT) > 0;
}
