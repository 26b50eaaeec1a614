/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a map splits requests: what reaches which file and the script, in which
 * order, with which flags.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "../../sh-plugin/connection.h"
#include "../../sh-plugin/map.h"
#include "../../sh-plugin/map_table.h"
#include "map_stand_ins.h"

#define MIB (1024 * 1024)

static int tests;
static int failures;
static char buffer[100];

/* The map that a script prints. */
static struct map *build(const char *table, uint64_t disk_bytes, bool is_readonly)
{
    BUF_GROWING(output, 0);

    output.data = strdup(table);
    output.length = output.capacity = strlen(table);
    return map_build(&(struct call){ .method = "map", .output = &output }, disk_bytes, is_readonly);
}

static struct connection *make_connection(const char *table)
{
    struct connection *connection = calloc(1, sizeof(*connection) + 1);

    stand_ins_trace[0] = '\0';
    connection->map = build(table, 1 << 30, false);
    stand_ins_trace[0] = '\0';
    return connection;
}

static void end_connection(struct connection *connection)
{
    map_free(connection->map);
    free(connection);
    stand_ins_trace[0] = '\0';
}

/* Judges what a call came to, and begins a new trace. */
static void expect(const char *name, int result, int error, const char *expected)
{
    int got = result == 0 ? 0 : stand_ins_plugin_error != 0 ? stand_ins_plugin_error : errno;
    bool is_ok = got == error && strcmp(stand_ins_trace, expected) == 0;

    tests++;
    failures += !is_ok;
    printf("%s %d - %s\n", is_ok ? "ok" : "not ok", tests, name);
    if (!is_ok)
        printf("# got      %d, %s\n# expected %d, %s\n", got, stand_ins_trace, error, expected);
    stand_ins_trace[0] = '\0';
    stand_ins_plugin_error = 0;
    stand_ins_failing = NULL;
}

static void fail_at(const char *entry, int error)
{
    stand_ins_failing = entry;
    stand_ins_failing_errno = error;
}

static void test_opening(void)
{
    static const char text[] = "0 10 file a\n20 10 file b 5\n30 10 file a 10\n40 10 script\n";
    static const char bad[] = "0 10 file a\n10 1 file b\n11 1 nonsense\n";
    static const char long_one[] = "0 1G file a 1\n";

    struct map *map = build(text, 100, true);
    expect("a file is opened once, and read-only where the connection is", map == NULL, 0,
           "open a readonly; open b readonly");
    map_free(map);
    expect("and closed once", 0, 0, "close b; close a");
    expect("after an error they are closed", build(bad, 100, false) == NULL ? -1 : 0, EINVAL,
           "open a; open b; close b; close a");
    expect("a range beyond the file's end", build(long_one, 1 << 30, false) == NULL ? -1 : 0,
           EINVAL, "open a; close a");
}

static void test_splitting(void)
{
    struct connection *c = make_connection("10 10 file a 100\n20 10 zero\n40 5 script\n"
                                           "45 5 file b\n60 10 error ENOSPC\n");

    memset(buffer, 'x', 100);
    expect("a read over all kinds", map_pread(c, buffer, 55, 0), 0,
           "script read 10@0; read a 10@100; script read 15@30; read b 5@0; script read 5@50");
    expect("has its data in order",
           memcmp(buffer, "ssssssssssaaaaaaaaaa\0\0\0\0\0\0\0\0\0\0sssssssssssssssbbbbbsssssx", 56),
           0, "");
    expect("a read inside of a range", map_pread(c, buffer, 3, 12), 0, "read a 3@102");
    expect("a read between two", map_pread(c, buffer, 1, 30), 0, "script read 1@30");
    expect("a read behind the last", map_pread(c, buffer, 9, 70), 0, "script read 9@70");
    expect("the first error ends it", map_pread(c, buffer, 40, 40), ENOSPC,
           "script read 5@40; read b 5@0; script read 10@50");
    fail_at("read a", EIO);
    expect("also that of a file", map_pread(c, buffer, 55, 0), EIO,
           "script read 10@0; read a 10@100");
    fail_at("script read 15", ENOMEM);
    expect("also that of the script", map_pread(c, buffer, 55, 0), ENOMEM,
           "script read 10@0; read a 10@100; script read 15@30");
    memcpy(buffer, "0123456789ABCDEFGHIJ", 20);
    expect("a write, with its data in order", map_pwrite(c, buffer, 15, 5, 0), 0,
           "script write 5@5; write a 10@100 '5'");
    expect("a write to zeroes", map_pwrite(c, buffer, 10, 15, 0), EPERM, "write a 5@105 '0'");
    expect("a trim of zeroes", map_trim(c, 5, 20, 0), EPERM, "");
    expect("a zero of zeroes", map_zero(c, 5, 20, 0), EPERM, "");
    expect("a cache of all", map_cache(c, 50, 5), 0, "cache a 10@100; cache b 5@0");
    expect("a cache of a bad range", map_cache(c, 50, 50), ENOSPC, "");
    expect("a request of no bytes", map_pread(c, buffer, 0, 12), 0, "");
    end_connection(c);
}

static void test_effects(void)
{
    struct connection *c = make_connection("0 10 disconnect soft\n10 10 disconnect force\n"
                                           "20 10 shutdown\n30 10 delay 2500 zero\n"
                                           "40 10 delay 7 script\n50 10 delay 1 error EIO\n");

    expect("disconnect soft", map_pread(c, buffer, 1, 0), ESHUTDOWN, "effect 2");
    expect("disconnect force", map_pwrite(c, buffer, 1, 10, 0), ESHUTDOWN, "effect 3");
    expect("shutdown", map_trim(c, 1, 20, 0), ESHUTDOWN, "effect 1");
    expect("a delay", map_pread(c, buffer, 1, 30), 0, "sleep 2.500");
    expect("a delay of the script", map_pread(c, buffer, 1, 40), 0,
           "sleep 0.007; script read 1@40");
    expect("a delay of an error", map_zero(c, 1, 50, 0), EIO, "sleep 0.001");
    fail_at("sleep", ESHUTDOWN);
    expect("a delay that is cut short", map_pread(c, buffer, 20, 30), ESHUTDOWN, "sleep 2.500");
    expect("extents touch nothing", map_extents(c, 60, 0, 0, NULL), 0,
           "0+10 0; 10+10 0; 20+10 0; 30+10 3; 40+10 0; 50+10 0");
    end_connection(c);
}

static void test_flushing(void)
{
    struct connection *c = make_connection("0 10 file a\n10 10 file b\n20 10 file a 10\n");

    expect("a flush without one of the script's", map_flush(c), 0, "flush b; flush a");
    c->can_flush = 1;
    expect("a flush of all", map_flush(c), 0, "flush b; flush a; script flush");
    fail_at("flush b", ENOSPC);
    expect("a failed one does not keep it from the others", map_flush(c), ENOSPC,
           "flush b; flush a; script flush");
    fail_at("script flush", EIO);
    expect("a failed one of the script", map_flush(c), EIO, "flush b; flush a; script flush");
    end_connection(c);
}

static void test_fua(void)
{
    struct connection *c = make_connection("10 10 file a\n30 10 file b\n");

    memset(buffer, 0, sizeof(buffer));
    expect("FUA where the script knows nothing of it",
           map_pwrite(c, buffer, 20, 0, NBDKIT_FLAG_FUA), 0,
           "script write 10@0; write a 10@0 '0' fua");
    c->can_flush = 1;
    c->can_fua = NBDKIT_FUA_EMULATE;
    expect("FUA by a flush of the script, once", map_pwrite(c, buffer, 30, 0, NBDKIT_FLAG_FUA), 0,
           "script write 10@0; write a 10@0 '0' fua; script write 10@20; script flush");
    expect("none for a file alone", map_pwrite(c, buffer, 5, 10, NBDKIT_FLAG_FUA), 0,
           "write a 5@0 '0' fua");
    expect("none without FUA", map_pwrite(c, buffer, 5, 0, 0), 0, "script write 5@0");
    c->can_fua = NBDKIT_FUA_NATIVE;
    c->can_trim = c->can_zero = 1;
    expect("FUA by the script itself", map_pwrite(c, buffer, 20, 0, NBDKIT_FLAG_FUA), 0,
           "script write 10@0 fua; write a 10@0 '0' fua");
    expect("a trim with FUA", map_trim(c, 20, 0, NBDKIT_FLAG_FUA), 0,
           "script trim 10@0 fua; trim a 10@0; flush a");
    expect("a zero with FUA", map_zero(c, 20, 0, NBDKIT_FLAG_FUA | NBDKIT_FLAG_MAY_TRIM), 0,
           "script zero 10@0 fua may_trim; zero a 10@0 may_trim; flush a");
    end_connection(c);
}

static void test_zeroing(void)
{
    struct connection *c = make_connection("10 10 file a\n30 10 file slow\n1M 3M file b\n");
    const uint32_t fast = NBDKIT_FLAG_FAST_ZERO, may_trim = NBDKIT_FLAG_MAY_TRIM;

    expect("a trim that the script does not know", map_trim(c, 20, 0, 0), 0, "trim a 10@0");
    expect("a zero that it does not know", map_zero(c, 20, 0, may_trim), 0,
           "script write 10@0; zero a 10@0 may_trim");
    expect("is never fast, and nothing changes", map_zero(c, 20, 10, fast), ENOTSUP, "");
    expect("but a file is", map_zero(c, 10, 10, fast), 0, "zero a 10@0 fast");
    c->can_zero = c->can_fast_zero = 1;
    expect("a fast zero of both", map_zero(c, 20, 10, fast | may_trim), 0,
           "zero a 10@0 may_trim fast; script zero 10@20 may_trim fast");
    expect("a file that is known to be slow", map_zero(c, 30, 10, fast), ENOTSUP, "");
    fail_at("zero a", ENOTSUP);
    expect("a file that says so", map_zero(c, 30, 10, fast | may_trim), ENOTSUP,
           "zero a 10@0 may_trim fast");
    fail_at("zero a", ENOTSUP);
    expect("a file that cannot", map_zero(c, 15, 10, NBDKIT_FLAG_FUA), 0,
           "zero a 10@0; write a 10@0 '0' fua; script zero 5@20");
    fail_at("script zero", EOPNOTSUPP);
    expect("a script that cannot just now", map_zero(c, 15, 5, may_trim), 0,
           "script zero 5@5 may_trim; script write 5@5; zero a 10@0 may_trim");
    fail_at("script zero", ENOSPC);
    expect("a script that fails", map_zero(c, 15, 5, 0), ENOSPC, "script zero 5@5");
    fail_at("zero b", ENOTSUP);
    expect("zeroes are written in steps", map_zero(c, 5 * MIB / 2, MIB, 0), 0,
           "zero b 2621440@0; write b 1048576@0 '0'; write b 1048576@1048576 '0'; "
           "write b 524288@2097152 '0'");
    c->can_zero = 0;
    c->block_maximum = 4096;
    expect("of the largest block size", map_zero(c, 10000, 8 * MIB, 0), 0,
           "script write 4096@8388608; script write 4096@8392704; script write 1808@8396800");
    end_connection(c);
}

static void test_caching(void)
{
    struct connection *c = make_connection("10 10 file a\n20 10 zero\n");

    c->can_cache = NBDKIT_CACHE_NATIVE;
    expect("a cache by the script", map_cache(c, 40, 0), 0,
           "script cache 10@0; cache a 10@0; script cache 10@30");
    c->can_cache = NBDKIT_CACHE_EMULATE;
    c->block_maximum = 4;
    expect("a cache by reading", map_cache(c, 20, 0), 0,
           "script read 4@0; script read 4@4; script read 2@8; cache a 10@0");
    end_connection(c);
}

static void test_extents(void)
{
    struct connection *c = make_connection("100 250 file a 50\n400 50 zero\n500 10 file dumb\n");

    expect("files, zeroes and what is not known", map_extents(c, 600, 0, 0, NULL), 0,
           "0+100 0; 100+50 0; 150+100 3; 250+100 0; 350+50 0; 400+50 3; 450+50 0; 500+10 0; "
           "510+90 0");
    expect("a part of a file", map_extents(c, 20, 200, 0, NULL), 0, "200+50 3");
    expect("one is enough", map_extents(c, 300, 120, NBDKIT_FLAG_REQ_ONE, NULL), 0, "120+30 0");
    c->can_extents = 1;
    expect("those of the script", map_extents(c, 130, 50, 0, NULL), 0,
           "script extents 50@50; 100+50 0; 150+100 3");
    stand_ins_told = 20;
    expect("what the script does not tell ends it", map_extents(c, 130, 50, 0, NULL), 0,
           "script extents 50@50");
    stand_ins_told = -1;
    expect("one of the script's", map_extents(c, 130, 50, NBDKIT_FLAG_REQ_ONE, NULL), 0,
           "script extents 50@50 req_one");
    fail_at("script extents", EIO);
    expect("an error of the script", map_extents(c, 130, 50, 0, NULL), EIO, "script extents 50@50");
    end_connection(c);
}

/* Each may cost a process. */
static void test_many_extents(void)
{
    char table[8192] = "";
    int calls = 0;

    for (int i = 0; i < 200; i++)
        sprintf(table + strlen(table), "%d 1 zero\n", 2 * i);
    struct connection *c = make_connection(table);
    c->can_extents = 1;
    int result = map_extents(c, 400, 0, 0, NULL);
    for (const char *at = stand_ins_trace; (at = strstr(at, "script extents")) != NULL; at++)
        calls++;
    stand_ins_trace[0] = '\0';
    expect("not too many calls of the script", result != 0 || calls != 64, 0, "");
    end_connection(c);
}

static void test_asking(void)
{
    struct connection *files = make_connection("0 1 file a\n");
    struct connection *zeroes = make_connection("0 1 zero\n");
    struct connection *errors = make_connection("0 1 error EIO\n");
    struct connection none = { 0 };

    expect("what has files and extents",
           map_has_files(files) && map_has_extents(files) && !map_has_files(zeroes) &&
                   map_has_extents(zeroes) && !map_has_files(errors) && !map_has_extents(errors) &&
                   !map_has_files(&none) && !map_has_extents(&none)
               ? 0
               : -1,
           0, "");
    end_connection(files);
    end_connection(zeroes);
    end_connection(errors);
}

int main(void)
{
    test_opening();
    test_splitting();
    test_effects();
    test_flushing();
    test_fua();
    test_zeroing();
    test_caching();
    test_extents();
    test_many_extents();
    test_asking();
    printf("1..%d\n", tests);
    return failures > 0;
}
