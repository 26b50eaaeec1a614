/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sh plugin reads from scripts: sizes, errno words, extents, exports, texts for the log.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../../sh-plugin/cleanup.h"
#include "../../sh-plugin/parse.h"

/* Linked in this way, for it belongs to what is tested here. */
#include "../../sh-plugin/text.c"

static int tests;
static int failures;

__attribute__((format(printf, 2, 3))) static void check(bool is_ok, const char *format, ...)
{
    va_list args;

    tests++;
    failures += !is_ok;
    printf("%s %d - ", is_ok ? "ok" : "not ok", tests);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void test_sizes(void)
{
    static const struct {
        const char *text;
        int64_t size;
        const char *problem;
    } cases[] = {
        { "0", 0, NULL },
        { "512", 512, NULL },
        { "1b", 1, NULL },
        { "1k", 1024, NULL },
        { "1K", 1024, NULL },
        { "10M", 10485760, NULL },
        { "3G", INT64_C(3221225472), NULL },
        { "2T", INT64_C(2199023255552), NULL },
        { "1P", INT64_C(1125899906842624), NULL },
        { "7E", INT64_C(8070450532247928832), NULL },
        { "8s", 4096, NULL },
        { "+1", 1, NULL },
        { "010", 10, NULL },
        { " 1M\n", 1048576, NULL },
        { "9223372036854775807", INT64_MAX, NULL },
        { "9223372036854775808", 0, "is too large" },
        { "8E", 0, "is too large" },
        { "99999999999999999999", 0, "is too large" },
        { "", 0, "is empty" },
        { "\n", 0, "is empty" },
        { "-1", 0, "is negative" },
        { "-", 0, "is not a size" },
        { "M", 0, "is not a size" },
        { "1.5M", 0, "is not a size" },
        { "0x10", 0, "is not a size" },
        { "1KB", 0, "is not a size" },
        { "1 M", 0, "is not a size" },
        { "1 2", 0, "is not a size" },
        { "foo", 0, "is not a size" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t size = 0;
        const char *problem = parse_read_size(cases[i].text, &size);

        check(is_same(problem, cases[i].problem) && size == cases[i].size,
              "size case %zu is %lld, %s", i, (long long)size, problem == NULL ? "fine" : problem);
    }
}

static void test_block_sizes(void)
{
    uint32_t sizes[3] = { 0, 0, 0 };
    char good[] = "1\n4K  4294967295\n";
    char few[] = "1 2";
    char many[] = "1 2 3 4";
    char large[] = "1 2 4G";
    char none[] = "";

    check(parse_read_block_sizes(good, sizes) == NULL && sizes[0] == 1 && sizes[1] == 4096 &&
              sizes[2] == UINT32_MAX,
          "three block sizes");
    check(is_same(parse_read_block_sizes(few, sizes), "is not three sizes"), "two block sizes");
    check(parse_read_block_sizes(many, sizes) != NULL, "four block sizes");
    check(is_same(parse_read_block_sizes(large, sizes), "is too large"), "a block size of 4G");
    check(parse_read_block_sizes(none, sizes) != NULL, "no block sizes");
}

static void test_times(void)
{
    static const struct {
        const char *text;
        int64_t unit_ns;
        int64_t nanoseconds; /* -1 if it is not accepted */
    } cases[] = {
        { "0", 1000000, 0 },
        { "5", 1000000000, 5000000000 },
        { "5", 1000000, 5000000 },
        { ".25", 1000000000, 250000000 },
        { "1.5", 1000000, 1500000 },
        { "2s", 1000000, 2000000000 },
        { "100ms", 1000000000, 100000000 },
        { "20us", 1000000, 20000 },
        { "20\u03bcs", 1000000, 20000 },
        { "20\u00b5s", 1000000, 20000 },
        { "7ns", 1000000, 7 },
        { "4294967295", 1000000000, INT64_C(4294967295000000000) },
        { "4294967296", 1000000000, -1 },
        { "99999999999999999999999", 1000000, -1 },
        { "0.1ns", 1000000, -1 },
        { "", 1000000, -1 },
        { "ms", 1000000, -1 },
        { ".", 1000000, -1 },
        { "-1", 1000000, -1 },
        { "1m", 1000000, -1 },
        { "1 s", 1000000, -1 },
        { "1ss", 1000000, -1 },
        { "inf", 1000000, -1 },
        { "nan", 1000000, -1 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t nanoseconds = -1;
        int result = parse_read_time(cases[i].text, cases[i].unit_ns, &nanoseconds);

        check((result == 0) == (cases[i].nanoseconds >= 0) && nanoseconds == cases[i].nanoseconds,
              "the time '%s'", cases[i].text);
    }
}

static void test_words(void)
{
    static const char *const words[] = { "none", "emulate", "native", NULL };

    check(parse_find_word("none", words) == 0, "a word");
    check(parse_find_word("NATIVE \n", words) == 2, "a word in capitals, with white space");
    check(parse_find_word("nativexx", words) < 0, "a longer word");
    check(parse_find_word("nat", words) < 0, "a shorter word");
    check(parse_find_word("", words) < 0, "no word");
}

static void test_errno_words(void)
{
    static const struct {
        const char *text;
        int number;
    } cases[] = {
        { "EPERM", EPERM },
        { "EIO\n", EIO },
        { "ENOMEM no memory", ENOMEM },
        { "EINVAL\tx", EINVAL },
        { "ENOSPC\nx", ENOSPC },
        { "EOVERFLOW x", EOVERFLOW },
        { "ENOTSUP x", ENOTSUP },
        { "EOPNOTSUPP x", EOPNOTSUPP },
        { "ESHUTDOWN x", ESHUTDOWN },
        { "EROFS x", EROFS },
        { "EDQUOT x", EDQUOT },
        { "EFBIG x", EFBIG },
        { "ENOENT x", ENOENT },
        { "enospc x", ENOSPC },
        { "eNoSpC", ENOSPC },
        { "ENOSPC EINVAL", ENOSPC },
        { "", 0 },
        { "EINVALID x", 0 },
        { "EINVA x", 0 },
        { "EINVAL: x", 0 },
        { " EINVAL", 0 },
        { "x EINVAL", 0 },
        { "x\nEINVAL", 0 },
        { "\nEINVAL", 0 },
        { "+ echo EINVAL\nENOSPC full\n+ exit 1\n", ENOSPC },
        { "+ a\nnoise\nENOSPC full", ENOSPC },
        { "++ a\n+ b\nEROFS", EROFS },
        { "+ echo EINVAL\n", 0 },
        { "+EINVAL", 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(parse_find_errno(cases[i].text, strlen(cases[i].text)) == cases[i].number,
              "errno word, case %zu", i);
    check(parse_find_errno("EIOx", 3) == EIO, "an errno word that ends where the text ends");
    check(parse_find_errno(NULL, 0) == 0, "no text");
}

/* For a test's name; a later call overwrites it. */
static const char *get_first_line(const char *text)
{
    static char line[64];

    snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
    return line;
}

/* Reads one line as an extent; the outcome is compared with the last three parameters. */
static void check_extent(const char *line, int result, uint64_t offset, uint64_t length,
                         uint32_t type)
{
    char copy[512];
    struct parse_lines lines = { .next = copy };
    struct parse_extent extent = { 0 };

    snprintf(copy, sizeof(copy), "%s", line);
    check(parse_next_extent(&lines, &extent) == result &&
              (result != 1 ||
               (extent.offset == offset && extent.length == length && extent.type == type)),
          "extent '%s'", get_first_line(line));
}

static void test_extents(void)
{
    check_extent("0 512", 1, 0, 512, 0);
    check_extent("1M 9M hole,zero", 1, 1048576, 9437184, 3);
    check_extent("0 1 zero,hole", 1, 0, 1, 3);
    check_extent("0 1 hole", 1, 0, 1, 1);
    check_extent("0 1 zero", 1, 0, 1, 2);
    check_extent("0 1 HOLE", 1, 0, 1, 1);
    check_extent("0 1 3", 1, 0, 1, 3);
    check_extent("0 1 0 data", 1, 0, 1, 0);
    check_extent("\t 0\t 1 ", 1, 0, 1, 0);
    check_extent("9223372036854775806 1", 1, INT64_MAX - 1, 1, 0);
    check_extent("9223372036854775807 1", -1, 0, 0, 0);
    check_extent("0", -1, 0, 0, 0);
    check_extent("x 1", -1, 0, 0, 0);
    check_extent("0 x", -1, 0, 0, 0);
    check_extent("-1 1", -1, 0, 0, 0);
    check_extent("0 1 hole,x", -1, 0, 0, 0);
    check_extent("0 1 3x", -1, 0, 0, 0);
    check_extent("0 1 4294967296", -1, 0, 0, 0);
    check_extent("0 1 -1", -1, 0, 0, 0);
    check_extent("", 0, 0, 0, 0);
    check_extent("\n \n# a comment\n  # another\n", 0, 0, 0, 0);
    check_extent("\n# a comment\n5 6\n", 1, 5, 6, 0);

    char text[] = "0 1\n\n# x\nfoo\n1 1";
    struct parse_lines lines = { .next = text };
    struct parse_extent extent;
    check(parse_next_extent(&lines, &extent) == 1 && lines.number == 1, "the first line");
    check(parse_next_extent(&lines, &extent) == -1 && lines.number == 4 &&
              is_same(lines.line, "foo"),
          "a malformed line is named by number and text");
    check(parse_next_extent(&lines, &extent) == 1 && lines.number == 5 && extent.offset == 1,
          "the last line, without a newline");
    check(parse_next_extent(&lines, &extent) == 0, "the end");
}

/* Reads exports and writes them down as "name=description;", where ~ is no description. */
static void check_exports(const char *output, const char *expected)
{
    char copy[256];
    char got[256] = "";
    struct parse_exports exports;
    const char *name, *description;

    snprintf(copy, sizeof(copy), "%s", output);
    parse_begin_exports(&exports, copy);
    while (parse_next_export(&exports, &name, &description)) {
        size_t length = strlen(got);
        snprintf(got + length, sizeof(got) - length, "%s=%s;", name,
                 description == NULL ? "~" : description);
    }
    check(strcmp(got, expected) == 0, "exports are '%s'", got);
}

static void test_exports(void)
{
    check_exports("", "");
    check_exports("\n", "=~;");
    check_exports("a\nb\n", "a=~;b=~;");
    check_exports("a\nb", "a=~;b=~;");
    check_exports("a\n\nb\n", "a=~;=~;b=~;");
    check_exports("NAMES", "");
    check_exports("NAMES\n", "");
    check_exports("NAMES\na\n\n", "a=~;=~;");
    check_exports("NAMES\nINTERLEAVED\n", "INTERLEAVED=~;");
    check_exports("NAMESX\na\n", "NAMESX=~;a=~;");
    check_exports("names\na\n", "names=~;a=~;");
    check_exports("INTERLEAVED\n", "");
    check_exports("INTERLEAVED\na\nA\nb\nB\n", "a=A;b=B;");
    check_exports("INTERLEAVED\na\nA\nb\n", "a=A;b=~;");
    check_exports("INTERLEAVED\na\nA\nb\nB", "a=A;b=B;");
    check_exports("INTERLEAVED\n\nA\n", "=A;");
    check_exports("INTERLEAVED\na\n\n", "a=;");
    check_exports("NAMES+DESCRIPTIONS", "");
    check_exports("NAMES+DESCRIPTIONS\na\nb\nA\nB\n", "a=A;b=B;");
    check_exports("NAMES+DESCRIPTIONS\na\nb\nA\nB", "a=A;b=B;");
    check_exports("NAMES+DESCRIPTIONS\na\nb\nA\n", "a=A;b=~;");
    check_exports("NAMES+DESCRIPTIONS\na\n", "a=~;");
}

static void check_joined(const char *text, const char *expected)
{
    CLEANUP_FREE char *joined = text_join_lines(text, strlen(text));

    check(is_same(joined, expected), "joined text is '%s'", joined == NULL ? "" : joined);
}

static void test_joined_text(void)
{
    char long_text[5000];

    check_joined("", "");
    check_joined("a\n", "a");
    check_joined("a\n\nb\n\n", "a | b");
    check_joined("a\r\nb\r\n", "a | b");
    check_joined("a\tb\x1b[0m\x7f", "a b\\x1b[0m\\x7f");
    check_joined("+ set\nENOSPC full\n+ exit 1\n", "ENOSPC full");
    check_joined("+ set\n+ exit 1\n", "+ set | + exit 1");
    for (size_t i = JOINED_MAX - 1; i <= JOINED_MAX + 10; i++) {
        memset(long_text, 'x', i);
        CLEANUP_FREE char *bounded = text_join_lines(long_text, i);
        check(bounded != NULL && strlen(bounded) == (i < JOINED_MAX ? i : JOINED_MAX),
              "a text of %zu bytes", i);
    }

    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    memcpy(long_text, "HEAD", 4);
    memcpy(long_text + sizeof(long_text) - 5, "TAIL", 4);
    CLEANUP_FREE char *joined = text_join_lines(long_text, strlen(long_text));
    check(joined != NULL && strlen(joined) == JOINED_MAX && strncmp(joined, "HEAD", 4) == 0 &&
              strcmp(joined + strlen(joined) - 4, "TAIL") == 0,
          "a long text keeps its beginning and its end");
}

static void test_quoted_words(void)
{
    static const char *const words[] = { "pread", "", "a b", "it's", "a=1,b", "\r\n", NULL };
    CLEANUP_FREE char *quoted = text_quote_words(words);
    char long_word[200];
    const char *const long_words[] = { long_word, NULL };

    check(is_same(quoted, "pread '' 'a b' 'it'\\''s' a=1,b '\\x0d\\x0a'"), "quoted words");
    memset(long_word, 'x', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    CLEANUP_FREE char *cut = text_quote_words(long_words);
    check(cut != NULL && strlen(cut) < 100 && strcmp(cut + strlen(cut) - 3, "...") == 0,
          "a long word is cut");
}

static void test_complaints(void)
{
    static const struct {
        const char *text;
        bool is_complaint;
    } cases[] = {
        { "./x.sh: 3: Syntax error: \"fi\" unexpected\n", true },
        { "./x.sh: 3: Syntax error: Unterminated quoted string\n", true },
        { "./x.sh: line 2: syntax error near unexpected token `fi'\n./x.sh: line 2: `fi'\n", true },
        { "./x.sh: line 2: unexpected EOF while looking for matching `\"'\n", true },
        { "./x.sh: 2: set: Illegal option -o pipefail\n", true },
        { "./x.sh: 2: foo: parameter not set\n", true },
        { "./x.sh: 2: .: cannot open ./nope: No such file\n", true },
        { "./x.sh: 2: .: nope: not found\n", true },
        { "./x.sh: 2: Bad substitution\n", true },
        { "./x.sh: 2: cannot create /nope/x: Directory nonexistent\n", true },
        { "x.sh[3]: syntax error: unexpected 'fi'\n", true },
        { "x.sh:3: parse error near `fi'\n", true },
        { "x.sh: syntax error at line 3: `fi' unexpected\n", true },
        { "+ set -x\n./x.sh: 3: Syntax error: \"fi\" unexpected\n", true },
        { "", false },
        { "grep: foo: unexpected end\n", false },
        { "./x.sh: 2: modinfo: not found\n", false },
        { "ls: cannot access '/nope': No such file or directory\n", false },
        { "+ echo x.sh: 3: Syntax error\n", false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(text_is_shell_complaint(cases[i].text, strlen(cases[i].text)) ==
                  cases[i].is_complaint,
              "shell complaint, case %zu", i);
}

int main(void)
{
    test_sizes();
    test_block_sizes();
    test_times();
    test_words();
    test_errno_words();
    test_extents();
    test_exports();
    test_joined_text();
    test_quoted_words();
    test_complaints();
    printf("1..%d\n", tests);
    return failures == 0 ? 0 : 1;
}
