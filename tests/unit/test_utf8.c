// SPDX-License-Identifier: BSD-3-Clause
/* Strings for the client: what is UTF-8, and what becomes of the rest. Prints TAP. */
#include <stdio.h>
#include <string.h>

#include "utf8.h"

static int test_count;
static int failure_count;

static void report(bool is_good, const char *what, const char *text)
{
    test_count++;
    failure_count += !is_good;
    printf("%sok %d - %s(", is_good ? "" : "not ", test_count, what);
    for (; *text; text++)
        printf(*text >= ' ' && *text <= '~' ? "%c" : "\\x%02x", (unsigned char)*text);
    printf(")\n");
}

static void test_valid(const char *text, bool expected)
{
    report(utf8_is_valid(text, 4096) == expected, "utf8_is_valid", text);
}

static void test_clean(const char *text, size_t size, const char *expected)
{
    char out[64];
    size_t length = utf8_clean(out, size, text);

    report(length == strlen(expected) && strcmp(out, expected) == 0, "utf8_clean", text);
}

static void test_neutralise(const char *text, const char *expected)
{
    char copy[64];

    strcpy(copy, text);
    utf8_neutralise(copy);
    report(strcmp(copy, expected) == 0, "utf8_neutralise", text);
}

static void test_validity(void)
{
    test_valid("", true);
    test_valid("plain", true);
    test_valid("\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xbe", true);
    test_valid("\xf4\x8f\xbf\xbf", true);
    test_valid("\xf4\x90\x80\x80", false); /* beyond the last code point */
    test_valid("\xc0\xaf", false);         /* longer than needed */
    test_valid("\xe0\x80\xaf", false);
    test_valid("\xed\xa0\x80", false); /* a surrogate */
    test_valid("\xc3", false);
    test_valid("\xe2\x82", false);
    test_valid("a\x80", false);
    test_valid("\xff", false);
    report(utf8_is_valid("1234", 4), "utf8_is_valid, as long as allowed", "1234");
    report(!utf8_is_valid("12345", 4), "utf8_is_valid, longer", "12345");
}

static void test_cleaning(void)
{
    test_clean("", 64, "");
    test_clean("plain text", 64, "plain text");
    test_clean("two\nlines\n", 64, "two lines");
    test_clean("\x1b[31mred\x7f\t", 64, " [31mred");
    test_clean("a\xc2\x9b"
               "b",
               64, "a b");
    test_clean("\xc3\xa9\xff\xc3", 64, "\xc3\xa9??");
    test_clean("a\xe2\x80\xae"
               "b",
               64, "a b");
    test_clean("1234", 5, "1234");
    test_clean("12345", 5, "1234");
    test_clean("123\xc3\xa9", 5, "123");
    test_clean("12\xc3\xa9", 5, "12\xc3\xa9");
    test_clean("123\xff\xff", 5, "123?");
}

static void test_neutralising(void)
{
    test_neutralise("", "");
    test_neutralise("caf\xc3\xa9 \xe6\x97\xa5\n\tx", "caf\xc3\xa9 \xe6\x97\xa5\n\tx");
    test_neutralise("\x1b[1m\r\x7f", "?[1m??");
    test_neutralise("\xc2\x80|\xc2\x9f|\xc2\xa0|\x9b", "?|?|\xc2\xa0|?");
    test_neutralise("\xd8\x9c|\xe2\x80\x8e|\xe2\x80\x8f", "?|?|?");
    test_neutralise("\xe2\x80\xa8|\xe2\x80\xa9|\xe2\x80\xaa|\xe2\x80\xae", "?|?|?|?");
    test_neutralise("\xe2\x81\xa6|\xe2\x81\xa9|\xe2\x80\x8b|\xef\xbb\xbf", "?|?|?|?");
    test_neutralise("\xe2\x80\x8d|\xe2\x80\x94|\xe2\x80\xaf",
                    "\xe2\x80\x8d|\xe2\x80\x94|\xe2\x80\xaf");
    test_neutralise("\xf3\xa0\x81\x81|\xf0\x9f\x92\xbe", "?|\xf0\x9f\x92\xbe");
    test_neutralise("\xe2\x80|\xff\xc3", "??|??");
    test_neutralise("\xe2\n", "?\n");
    report(utf8_get_shown_length("\xe6\x97\xa5") == 3, "utf8_get_shown_length", "\xe6\x97\xa5");
    report(utf8_get_shown_length("\n") == 0, "utf8_get_shown_length", "\n");
}

int main(void)
{
    test_validity();
    test_cleaning();
    test_neutralising();
    printf("1..%d\n", test_count);
    return failure_count > 0;
}
