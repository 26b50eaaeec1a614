/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the exit status of a script means; the same table as in the manual page
 * nbdlab-sh-plugin(3).
 *
 *   exit         result    effect               errno if stderr names none
 *   0            OK
 *   1, 9 to 255  ERROR                          EIO
 *   2            MISSING                        (no such method)
 *   3            FALSE                          (of a yes-or-no method)
 *   4 / 5        OK/ERROR  nbdkit_shutdown()    ESHUTDOWN for 5
 *   6            ERROR     nbdkit_disconnect(1) ESHUTDOWN
 *   7 / 8        OK/ERROR  nbdkit_disconnect(0) ESHUTDOWN for 8
 */
#ifndef STATUS_H
#define STATUS_H

/* The greatest exit status with a meaning of its own. */
#define STATUS_MAX_KNOWN 8

enum status_result {
    STATUS_OK,
    STATUS_ERROR,
    STATUS_MISSING,
    STATUS_FALSE,
};

enum status_effect {
    STATUS_EFFECT_NONE,
    STATUS_EFFECT_SHUTDOWN,
    STATUS_EFFECT_DISCONNECT_SOFT,
    STATUS_EFFECT_DISCONNECT_FORCE,
};

struct status {
    enum status_result result;
    enum status_effect effect;
    int default_errno; /* 0 unless result is STATUS_ERROR */
};

/*
 * Decodes what waitpid(2) reported. Death by a signal is an error of its own
 * (EIO, no effect), never an exit status. Pure; any thread.
 */
struct status status_decode_wait(int wait_status);

#endif
