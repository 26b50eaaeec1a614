/* SPDX-License-Identifier: BSD-3-Clause */
/* What the plugin last said about an error: it goes to the client along with it. */
#ifndef API_LOG_H
#define API_LOG_H

/*
 * The text of the last nbdkit_error() of the calling thread, cut to
 * API_LOG_TEXT_MAX bytes; "" if there was none since api_log_clear_text().
 */
enum { API_LOG_TEXT_MAX = 4096 };
const char *api_log_get_text(void);
void api_log_clear_text(void);

#endif
