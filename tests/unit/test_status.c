/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of exit statuses: every status, and every signal that can end a script. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>

#include "../../sh-plugin/status.h"

static int tests;
static int failures;

static void check(const char *what, int number, struct status got, struct status expected)
{
    bool is_equal = got.result == expected.result && got.effect == expected.effect &&
                    got.default_errno == expected.default_errno;

    tests++;
    failures += !is_equal;
    printf("%s %d - %s %d\n", is_equal ? "ok" : "not ok", tests, what, number);
    if (!is_equal)
        printf("# got result %d, effect %d, errno %d; expected %d, %d, %d\n", got.result,
               got.effect, got.default_errno, expected.result, expected.effect,
               expected.default_errno);
}

/* The table of the manual page once more, in words of its own. */
static struct status expect_exit(int exit_status)
{
    struct status expected = { STATUS_ERROR, STATUS_EFFECT_NONE, EIO };

    switch (exit_status) {
    case 0:
        expected = (struct status){ STATUS_OK, STATUS_EFFECT_NONE, 0 };
        break;
    case 2:
        expected = (struct status){ STATUS_MISSING, STATUS_EFFECT_NONE, 0 };
        break;
    case 3:
        expected = (struct status){ STATUS_FALSE, STATUS_EFFECT_NONE, 0 };
        break;
    case 4:
        expected = (struct status){ STATUS_OK, STATUS_EFFECT_SHUTDOWN, 0 };
        break;
    case 5:
        expected = (struct status){ STATUS_ERROR, STATUS_EFFECT_SHUTDOWN, ESHUTDOWN };
        break;
    case 6:
        expected = (struct status){ STATUS_ERROR, STATUS_EFFECT_DISCONNECT_FORCE, ESHUTDOWN };
        break;
    case 7:
        expected = (struct status){ STATUS_OK, STATUS_EFFECT_DISCONNECT_SOFT, 0 };
        break;
    case 8:
        expected = (struct status){ STATUS_ERROR, STATUS_EFFECT_DISCONNECT_SOFT, ESHUTDOWN };
        break;
    default:
        break;
    }
    return expected;
}

int main(void)
{
    const struct status killed = { STATUS_ERROR, STATUS_EFFECT_NONE, EIO };

    for (int i = 0; i < 256; i++)
        check("exit", i, status_decode_wait(W_EXITCODE(i, 0)), expect_exit(i));
    for (int i = 1; i <= SIGRTMAX; i++) {
        check("signal", i, status_decode_wait(W_EXITCODE(0, i)), killed);
        check("signal with core", i, status_decode_wait(W_EXITCODE(0, i) | WCOREFLAG), killed);
    }
    printf("1..%d\n", tests);
    return failures == 0 ? 0 : 1;
}
