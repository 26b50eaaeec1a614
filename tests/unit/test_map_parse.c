/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of the method map: every target, paths in quotes, every error and its words. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../../sh-plugin/map_parse.h"

#define DISK_BYTES (INT64_C(1) << 40)

static int tests;
static int failures;

static void check(bool is_ok, const char *name)
{
    tests++;
    failures += !is_ok;
    printf("%s %d - ", is_ok ? "ok" : "not ok", tests);
    for (; *name != '\0'; name++)
        putchar(*name == '\n' || *name == '#' ? ' ' : *name);
    putchar('\n');
}

static const char *name_effect(enum status_effect effect)
{
    static const char *const names[] = {
        [STATUS_EFFECT_NONE] = "none",
        [STATUS_EFFECT_SHUTDOWN] = "shutdown",
        [STATUS_EFFECT_DISCONNECT_SOFT] = "soft",
        [STATUS_EFFECT_DISCONNECT_FORCE] = "force",
    };

    return names[effect];
}

static int print_range(char *to, size_t size, const struct map_parse *parse,
                       const struct map_range *range)
{
    int length = snprintf(to, size, "%" PRIu64 "+%" PRIu64 " ", range->offset, range->length);

    to += length;
    size -= (size_t)length;
    if (range->delay_ns > 0) {
        int more = snprintf(to, size, "delay %g ", (double)range->delay_ns / 1e6);
        length += more;
        to += more;
        size -= (size_t)more;
    }
    switch (range->kind) {
    case MAP_FILE:
        return length + snprintf(to, size, "file [%s] %" PRIu64, parse->path, range->file_offset);
    case MAP_ZERO:
        return length + snprintf(to, size, "zero");
    case MAP_ERROR:
        return length + snprintf(to, size, "error %s %s", strerrorname_np(range->error),
                                 name_effect(range->effect));
    case MAP_SCRIPT:
        break;
    }
    return length + snprintf(to, size, "script");
}

/* Reads all of the text; prints "RANGE; RANGE" or, for an error, "RANGE; line N: PROBLEM". */
static void read_all(const char *text, uint64_t disk_bytes, char *got, size_t size)
{
    static struct map_parse parse;
    static char copy[3 * PATH_MAX];
    struct map_range range;
    size_t length = 0;
    int result;

    snprintf(copy, sizeof(copy), "%s", text);
    memset(&parse, 0, sizeof(parse));
    parse.lines.next = copy;
    parse.disk_bytes = disk_bytes;
    got[0] = '\0';
    while ((result = map_parse_next(&parse, &range)) > 0) {
        if (length > 0)
            length += (size_t)snprintf(got + length, size - length, "; ");
        length += (size_t)print_range(got + length, size - length, &parse, &range);
    }
    if (result < 0)
        snprintf(got + length, size - length, "%sline %zu: %s", length > 0 ? "; " : "",
                 parse.lines.number, parse.problem);
}

static void expect(const char *text, const char *expected)
{
    static char got[3 * PATH_MAX];

    read_all(text, DISK_BYTES, got, sizeof(got));
    check(strcmp(got, expected) == 0, text);
    if (strcmp(got, expected) != 0)
        printf("# got      %s\n# expected %s\n", got, expected);
}

static void test_targets(void)
{
    expect("", "");
    expect("\n \t\n# a comment\n   # another\n", "");
    expect("0 1 zero", "0+1 zero");
    expect("0 512 file /disk\n", "0+512 file [/disk] 0");
    expect("1M 64K file disk.img 1M\r\n", "1048576+65536 file [disk.img] 1048576");
    expect("0 8s zero # the start\n4K 4k\tscript# no comment",
           "0+4096 zero; line 2: 'script#' is "
           "not a target: write file, zero, error, delay, disconnect, shutdown or script");
    expect("0 1 error EIO\n1 1 error enospc\n2 1 error EDQUOT",
           "0+1 error EIO none; 1+1 error ENOSPC none; 2+1 error EDQUOT none");
    expect("0 1 disconnect soft\n1 1 disconnect force\n2 1 shutdown\n3 1 script",
           "0+1 error ESHUTDOWN soft; 1+1 error ESHUTDOWN force; 2+1 error ESHUTDOWN shutdown; "
           "3+1 script");
    expect("0 1 delay 100 zero\n1 1 delay 1 error EIO\n2 1 delay 5 script\n3 1 delay 0 zero\n"
           "4 1 delay 1 delay 2 file a 1",
           "0+1 delay 100 zero; 1+1 delay 1 error EIO none; 2+1 delay 5 script; 3+1 zero; "
           "4+1 delay 3 file [a] 1");
    expect("0 1 delay 2s zero\n1 1 delay 10ms zero\n2 1 delay 1.5 delay 500us zero",
           "0+1 delay 2000 zero; 1+1 delay 10 zero; 2+1 delay 2 zero");
    expect("1048575M 1M zero", "1099510579200+1048576 zero");
}

static void test_paths(void)
{
    expect("0 1 file 'a b'", "0+1 file [a b] 0");
    expect("0 1 file \"a b\" 1", "0+1 file [a b] 1");
    expect("0 1 file a\\ b 1", "0+1 file [a b] 1");
    expect("0 1 file a' 'b\" \"c", "0+1 file [a b c] 0");
    expect("0 1 file 'a\"b\\c'", "0+1 file [a\"b\\c] 0");
    expect("0 1 file \"it's \\\"so\\\" \\$x \\`y \\\\ \\n\"",
           "0+1 file [it's \"so\" $x `y \\ \\n] 0");
    expect("0 1 file it\\'s", "0+1 file [it's] 0");
    expect("0 1 file 'it'\\''s'", "0+1 file [it's] 0");
    expect("0 1 file '#1' # the first", "0+1 file [#1] 0");
    expect("0 1 file a#b", "0+1 file [a#b] 0");
    expect("0 1 file \xc3\xa4\xff", "0+1 file [\xc3\xa4\xff] 0");
    expect("0 1 file a\\", "0+1 file [a\\] 0");
    expect("0 1 file 'a b", "line 1: the quote ' is not closed: put one behind the path, and \\ "
                            "before one that belongs to it");
    expect("0 1 file \"a\\\"", "line 1: the quote \" is not closed: put one behind the path, and "
                               "\\ before one that belongs to it");
    expect("0 1 file ''", "line 1: names no file: write file PATH [OFFSET]");
}

static void test_long_path(void)
{
    static char text[2 * PATH_MAX], got[3 * PATH_MAX];

    int prefix = sprintf(text, "0 1 file ");
    memset(text + prefix, 'a', PATH_MAX - 1);
    read_all(text, DISK_BYTES, got, sizeof(got));
    check(strlen(got) == strlen("0+1 file [] 0") + PATH_MAX - 1, "the longest path");
    text[prefix + PATH_MAX - 1] = 'a';
    read_all(text, DISK_BYTES, got, sizeof(got));
    check(strstr(got, "line 1: a word is longer than 4095 bytes: 'aaaa") == got, "a longer path");
}

static void test_ranges(void)
{
    expect("0 0 zero", "line 1: the length is 0: leave the line out, or write at least 1");
    expect("0 2 zero\n1 1 zero",
           "0+2 zero; line 2: begins at byte 1, but the range before it ends at byte 2: ranges "
           "must ascend and not overlap");
    expect("# x\n\n5 1 zero\n0 1 zero",
           "5+1 zero; line 4: begins at byte 0, but the range before it ends at byte 6: ranges "
           "must ascend and not overlap");
    expect("1048575M 1048577 zero",
           "line 1: ends at byte 1099511627777, but the disk (get_size) has 1099511627776 bytes: "
           "stay inside of it");
    expect("7E 7E zero",
           "line 1: ends at byte 16140901064495857664, but the disk (get_size) has 1099511627776 "
           "bytes: stay inside of it");
    expect("0 1 file a 9223372036854775807",
           "line 1: the offset in the file is too large: no file has so many bytes");
    expect("0 1 file a 9223372036854775806", "0+1 file [a] 9223372036854775806");
}

static void test_problems(void)
{
#define NO_TIME                                                                                    \
    " is not a time to wait: write milliseconds, or a number with a unit such as 1.5s, up to "     \
    "4294967295 ms, as in 'delay 100 zero'"
#define KNOWN "write file, zero, error, delay, disconnect, shutdown or script"
    expect("0", "line 1: the length is missing: write OFFSET LENGTH TARGET [ARGUMENT...]");
    expect("x 1 zero", "line 1: the offset, 'x', is not a size: write bytes, or a number with a "
                       "unit such as 10M");
    expect("-1 1 zero", "line 1: the offset, '-1', is negative: write bytes, or a number with a "
                        "unit such as 10M");
    expect("0 9E zero", "line 1: the length, '9E', is too large: write bytes, or a number with a "
                        "unit such as 10M");
    expect("0 zero", "line 1: the length, 'zero', is not a size: write bytes, or a number with a "
                     "unit such as 10M");
    expect("0 1", "line 1: the target is missing: " KNOWN " behind the length");
    expect("0 1 # zero", "line 1: the target is missing: " KNOWN " behind the length");
    expect("0 1 flie a", "line 1: 'flie' is not a target: " KNOWN);
    expect("0 1 zero 1", "line 1: '1' is too much: nothing follows there");
    expect("0 1 file", "line 1: names no file: write file PATH [OFFSET]");
    expect("0 1 file a b", "line 1: 'b' behind the path is not an offset in the file: write a size "
                           "there, and a path that has blanks in it between quotes");
    expect("0 1 file a 1x", "line 1: the offset in the file, '1x', is not a size: write bytes, or "
                            "a number with a unit such as 10M");
    expect("0 1 file a 1 2", "line 1: '2' is too much: nothing follows there");
    expect("0 1 error", "line 1: names no error: write an errno word, as in 'error EIO'");
    expect("0 1 error EWHAT", "line 1: 'EWHAT' is not an errno word that is known: write EIO, "
                              "ENOSPC, EPERM or another one of nbdlab-sh-plugin(3)");
    expect("0 1 disconnect", "line 1: '' is no way to disconnect: write 'disconnect soft' or "
                             "'disconnect force'");
    expect("0 1 disconnect hard", "line 1: 'hard' is no way to disconnect: write 'disconnect "
                                  "soft' or 'disconnect force'");
    expect("0 1 shutdown now", "line 1: 'now' is too much: nothing follows there");
    expect("0 1 delay", "line 1: ''" NO_TIME);
    expect("0 1 delay 1.5m zero", "line 1: '1.5m'" NO_TIME);
    expect("0 1 delay 4294967296 zero", "line 1: '4294967296'" NO_TIME);
    expect("0 1 delay 4294967295 delay 1 zero", "line 1: '1'" NO_TIME);
    expect("0 1 delay 5", "line 1: the target is missing: " KNOWN " behind the length and the "
                          "delay");
}

int main(void)
{
    test_targets();
    test_paths();
    test_long_path();
    test_ranges();
    test_problems();
    printf("1..%d\n", tests);
    return failures > 0;
}
