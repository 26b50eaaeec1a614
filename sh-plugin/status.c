/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the table of exit statuses. Pure: any thread enters it, and it calls nothing. */
#include <errno.h>
#include <sys/wait.h>

#include "status.h"

static const struct status exit_table[] = {
    [0] = { STATUS_OK, STATUS_EFFECT_NONE, 0 },
    [1] = { STATUS_ERROR, STATUS_EFFECT_NONE, EIO },
    [2] = { STATUS_MISSING, STATUS_EFFECT_NONE, 0 },
    [3] = { STATUS_FALSE, STATUS_EFFECT_NONE, 0 },
    [4] = { STATUS_OK, STATUS_EFFECT_SHUTDOWN, 0 },
    [5] = { STATUS_ERROR, STATUS_EFFECT_SHUTDOWN, ESHUTDOWN },
    [6] = { STATUS_ERROR, STATUS_EFFECT_DISCONNECT_FORCE, ESHUTDOWN },
    [7] = { STATUS_OK, STATUS_EFFECT_DISCONNECT_SOFT, 0 },
    [STATUS_MAX_KNOWN] = { STATUS_ERROR, STATUS_EFFECT_DISCONNECT_SOFT, ESHUTDOWN },
    [STATUS_MAX_KNOWN + 1 ... 255] = { STATUS_ERROR, STATUS_EFFECT_NONE, EIO },
};
_Static_assert(sizeof(exit_table) / sizeof(exit_table[0]) == 256,
               "every exit status has its line in the table");

struct status status_decode_wait(int wait_status)
{
    static const struct status killed = { STATUS_ERROR, STATUS_EFFECT_NONE, EIO };

    return WIFEXITED(wait_status) ? exit_table[WEXITSTATUS(wait_status)] : killed;
}
