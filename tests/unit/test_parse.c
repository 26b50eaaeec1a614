// SPDX-License-Identifier: BSD-3-Clause
/* The parsers of parameters: good, bad, and just too large. Prints TAP. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

static int test_count;
static int failure_count;

static void report(bool is_good, const char *function, const char *text)
{
    test_count++;
    failure_count += !is_good;
    printf("%sok %d - %s(\"", is_good ? "" : "not ", test_count, function);
    for (; *text; text++)
        printf(*text == '\n' ? "\\n" : "%c", *text);
    printf("\")\n");
}

static void test_size(const char *text, int64_t expected)
{
    int64_t value = -1;
    const char *fault = parse_size(text, &value);

    report(expected < 0 ? fault && value == -1 : !fault && value == expected, "parse_size", text);
}

static void test_bool(const char *text, int expected)
{
    bool value = false;
    const char *fault = parse_bool(text, &value);

    report(expected < 0 ? fault != NULL : !fault && value == expected, "parse_bool", text);
}

static void test_int8(const char *text, int expected)
{
    int64_t value = 1000;
    const char *fault = parse_signed(text, INT8_MIN, INT8_MAX, &value);

    report(expected == 1000 ? fault && value == 1000 : !fault && value == expected,
           "parse_signed 8 bits", text);
}

/* Parses as a signed number of that many bits; is_valid if `expected` must come out. */
static void test_signed(int bits, const char *text, int64_t expected, bool is_valid)
{
    int64_t maximum = INT64_MAX >> (64 - bits);
    int64_t value = 77;
    const char *fault = parse_signed(text, -maximum - 1, maximum, &value);

    report(is_valid ? !fault && value == expected : fault && value == 77, "parse_signed", text);
}

static void test_unsigned(int bits, const char *text, uint64_t expected, bool is_valid)
{
    uint64_t value = 77;
    const char *fault = parse_unsigned(text, UINT64_MAX >> (64 - bits), &value);

    report(is_valid ? !fault && value == expected : fault && value == 77, "parse_unsigned", text);
}

enum base { DECIMAL, HEXADECIMAL, CAPITAL, OCTAL };

static const char *write_number(const char *sign, enum base base, uintmax_t number)
{
    static char text[64];

    switch (base) {
    case DECIMAL:
        snprintf(text, sizeof text, "%s%ju", sign, number);
        break;
    case HEXADECIMAL:
        snprintf(text, sizeof text, "%s0x%jx", sign, number);
        break;
    case CAPITAL:
        snprintf(text, sizeof text, "%s0X%jX", sign, number);
        break;
    case OCTAL:
        snprintf(text, sizeof text, "%s0%jo", sign, number);
        break;
    }
    return text;
}

/* The limits of a width, and the numbers next to them. */
static void test_width(int bits)
{
    uintmax_t top = UINT64_C(1) << (bits - 1); /* one more than the largest signed number */

    for (enum base base = DECIMAL; base <= OCTAL; base++) {
        test_signed(bits, write_number("", base, top - 1), (int64_t)(top - 1), true);
        test_unsigned(bits, write_number("", base, top - 1), top - 1, true);
        test_signed(bits, write_number("+", base, top), 0, false);
        test_unsigned(bits, write_number("+", base, top), top, true);
        test_signed(bits, write_number(" -", base, top), -(int64_t)(top - 1) - 1, true);
        test_unsigned(bits, write_number(" -", base, top), 0, false);
        test_signed(bits, write_number("-", base, top + 1), 0, false);
        test_unsigned(bits, write_number("", base, top - 1 + top), top - 1 + top, true);
    }
    if (bits < 64)
        test_unsigned(bits, write_number("", DECIMAL, top + top), 0, false);
    test_signed(bits, "99999999999999999999999", 0, false);
    test_signed(bits, "-99999999999999999999999", 0, false);
    test_unsigned(bits, "99999999999999999999999", 0, false);
    test_unsigned(bits, "0x99999999999999999999999", 0, false);
}

/* What is no number in any width. */
static void test_no_numbers(void)
{
    static const char *const texts[] = {
        "",    " ",    "+",      "-",   "--1", "+-1",  "- 1", "1 ",   "1\n", " 1 ",
        "x",   "1x",   "0x",     "0xg", "08",  "019",  "1.0", "1e3",  "1,0", "1_0",
        "1 2", "0x 1", "\u0661", "nan", "inf", "0x-1", "1-",  "true",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        test_signed(8, texts[i], 0, false);
        test_signed(64, texts[i], 0, false);
        test_unsigned(8, texts[i], 0, false);
        test_unsigned(64, texts[i], 0, false);
    }
}

static void test_uint64(const char *text, uint64_t expected, bool is_valid)
{
    uint64_t value = 7;
    const char *fault = parse_unsigned(text, UINT64_MAX, &value);

    report(is_valid ? !fault && value == expected : fault && value == 7, "parse_unsigned 64 bits",
           text);
}

static void test_probability(const char *text, double expected)
{
    double value = -1;
    const char *fault = parse_probability(text, &value);
    double difference = value - expected;

    report(expected < 0 ? fault != NULL : !fault && difference < 1e-12 && difference > -1e-12,
           "parse_probability", text);
}

/* sec -1: must be refused; -2: the largest. */
static void test_delay(const char *text, int64_t sec, unsigned nsec)
{
    unsigned actual_sec = 77;
    unsigned actual_nsec = 88;
    const char *fault = parse_delay(text, &actual_sec, &actual_nsec);

    if (sec == -2)
        sec = UINT32_MAX;
    report(sec < 0 ? fault && actual_sec == 77 && actual_nsec == 88
                   : !fault && actual_sec == (unsigned)sec && actual_nsec == nsec,
           "parse_delay", text);
}

static void test_delays(void)
{
    test_delay("0", 0, 0);
    test_delay("1", 1, 0);
    test_delay("1.2", 1, 200000000);
    test_delay("1.2s", 1, 200000000);
    test_delay("1.2ms", 0, 1200000);
    test_delay("1200ms", 1, 200000000);
    test_delay("1.2us", 0, 1200);
    test_delay("120\u03bcs", 0, 120000);
    test_delay("1ns", 0, 1);
    test_delay("999999999ns", 0, 999999999);
    test_delay("0.1ns", -1, 0);
    test_delay("4294967296", -1, 0);
    test_delay("-1", -1, 0);
    test_delay("nan", -1, 0);
    test_delay("inf", -1, 0);
    test_delay("", -1, 0);
    test_delay("s", -1, 0);
    test_delay("1m", -1, 0);
    test_delay("1 s", -1, 0);
    test_delay("4294967295", -2, 0);
    test_delay("4294967295.9", -1, 0);
    test_delay("4294967296000ms", -1, 0);
    test_delay("1e10", -1, 0);
    test_delay("1e-10", -1, 0);
    test_delay("1e3", 1000, 0);
    test_delay("0.9999999999", 1, 0);
    test_delay("1000000000ns", 1, 0);
    test_delay("1\u00b5s", 0, 1000);
    test_delay(" 1s", 1, 0);
    test_delay("1s ", -1, 0);
    test_delay("+1s", 1, 0);
    test_delay("-0", -1, 0);
    test_delay("1S", -1, 0);
    test_delay("1Ms", -1, 0);
    test_delay("1sec", -1, 0);
    test_delay("1,5", -1, 0);
    test_delay("0ns", 0, 0);
    test_delay("0h", -1, 0);
}

static void test_sizes(void)
{
    test_size("0", 0);
    test_size("1", 1);
    test_size("010", 10);
    test_size(" +1k", 1024);
    test_size("1b", 1);
    test_size("3K", 3072);
    test_size("1M", 1 << 20);
    test_size("1g", 1 << 30);
    test_size("2T", INT64_C(2) << 40);
    test_size("1p", INT64_C(1) << 50);
    test_size("7E", INT64_C(7) << 60);
    test_size("8E", -1);
    test_size("2s", 1024);
    test_size("2S", 1024);
    test_size("9223372036854775807", INT64_MAX);
    test_size("9223372036854775808", -1);
    test_size("99999999999999999999", -1);
    test_size("-1", -1);
    test_size("-0", 0);
    test_size("", -1);
    test_size("K", -1);
    test_size("+", -1);
    test_size("1KB", -1);
    test_size("1 K", -1);
    test_size("1.5K", -1);
    test_size("0x10", -1);
    test_size("1K ", -1);
    test_size("1\n", -1);
    test_size("-1K", -1);
    test_size("-99999999999999999999", -1);
    test_size("-18446744073709551615", -1); /* strtoull(3) makes 1 of it */
    test_size("- 1", -1);
    test_size("+-1", -1);
    test_size("1Z", -1);
    test_size("1\u212a", -1); /* the Kelvin sign, which some take for a k */
    test_size("1i", -1);
    test_size("08", 8);
    test_size("9007199254740991K", INT64_MAX - 1023);
    test_size("9007199254740992K", -1);
    test_size("18014398509481983s", INT64_MAX - 511);
    test_size("18014398509481984s", -1);
    test_size("18014398509481985K", -1); /* 1024 after it has wrapped round 2^64 */
    test_size("7P", INT64_C(7) << 50);
    test_size("99999999999999999999b", -1);
}

static void test_numbers(void)
{
    test_int8("0", 0);
    test_int8("-128", -128);
    test_int8("127", 127);
    test_int8("0x7f", 127);
    test_int8("-010", -8);
    test_int8("128", 1000);
    test_int8("-129", 1000);
    test_int8("99999999999999999999", 1000);
    test_int8("", 1000);
    test_int8("1x", 1000);
    test_int8("x", 1000);
    test_uint64("18446744073709551615", UINT64_MAX, true);
    test_uint64("0xffffffffffffffff", UINT64_MAX, true);
    test_uint64("18446744073709551616", 0, false);
    test_uint64("-1", 0, false);
    test_uint64(" -1", 0, false);
    test_uint64("", 0, false);
    test_uint64("1 2", 0, false);
    test_uint64("\t\n +7", 7, true);
    test_uint64("-18446744073709551615", 0, false);
    test_uint64("00", 0, true);
    test_int8("-0", 0);
    for (int bits = 8; bits <= 64; bits *= 2)
        test_width(bits);
    test_no_numbers();
}

static void test_probabilities(void)
{
    test_probability("0", 0);
    test_probability("0.1", 0.1);
    test_probability("1e-1", 0.1);
    test_probability("10%", 0.1);
    test_probability("1:10", 0.1);
    test_probability("1/10", 0.1);
    test_probability("200%", 2);
    test_probability("0:0", 0);
    test_probability("1:0", -1);
    test_probability("-1", -1);
    test_probability("nan", -1);
    test_probability("inf", -1);
    test_probability("", -1);
    test_probability("1:", -1);
    test_probability("1%%", -1);
    test_probability(" 1", 1);
    test_probability("1 ", -1);
    test_probability("+.5", 0.5);
    test_probability("-0", -1);
    test_probability("1/-1", -1);
    test_probability("0/0", 0);
    test_probability("0:10", 0);
    test_probability("1/0", -1);
    test_probability("1e308/1e-308", -1);
    test_probability("1e400", -1);
    test_probability("1/inf", 0);
    test_probability("1,5", -1);
    test_probability("0x1p-1", 0.5);
    test_probability("1:2:3", -1);
    test_probability("1/2%", -1);
    test_probability(":2", -1);
    test_probability("%", -1);
    test_probability("half", -1);
}

int main(void)
{
    test_sizes();
    test_numbers();
    test_probabilities();
    test_delays();
    test_bool("true", 1);
    test_bool("YES", 1);
    test_bool("on", 1);
    test_bool("1", 1);
    test_bool("t", 1);
    test_bool("False", 0);
    test_bool("no", 0);
    test_bool("OFF", 0);
    test_bool("0", 0);
    test_bool("n", 0);
    test_bool("", -1);
    test_bool("2", -1);
    test_bool("yes ", -1);
    test_bool(" yes", -1);
    test_bool("yess", -1);
    test_bool("ye", -1);
    test_bool("-1", -1);
    test_bool("01", -1);
    test_bool("o", -1);
    test_bool("tRuE", 1);
    test_bool("F", 0);
    test_bool("Y", 1);
    test_bool("maybe", -1);
    printf("1..%d\n", test_count);
    return failure_count ? EXIT_FAILURE : EXIT_SUCCESS;
}
