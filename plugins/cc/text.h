/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text that is made when it is needed, and freed at the end of a scope.
 */
#ifndef TEXT_H
#define TEXT_H

/* As asprintf(3) does it; free(3) the result. Returns NULL after nbdkit_error. */
char *text_format(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));

/* For CLEANUP_FREE. */
void text_free(char **text);

#define CLEANUP_FREE __attribute__((__cleanup__(text_free)))

#endif
