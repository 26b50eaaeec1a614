/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values on the command line that are more than a flag or any text. Each
 * function checks one and puts what it means to where `member` points, in the
 * type that its comment has. Returns 0, or -1 after saying on stderr what is
 * wrong, with the option's name. Main thread.
 */
#ifndef VALUES_H
#define VALUES_H

int values_read_bytes_in_flight(const char *value, void *member); /* uint64_t */
int values_read_connections(const char *value, void *member);     /* unsigned */
int values_read_export_name(const char *value, void *member);     /* const char * */
int values_read_handshake_mask(const char *value, void *member);  /* uint16_t, loses bits */
int values_read_log(const char *value, void *member);             /* const char * */
int values_read_name(const char *value, void *member);            /* const char * */
int values_read_port(const char *value, void *member);            /* uint32_t */
int values_read_run_command(const char *value, void *member);     /* const char * */
int values_read_threads(const char *value, void *member);         /* unsigned */
int values_read_timeout(const char *value, void *member);         /* unsigned, ms */
int values_read_tls(const char *value, void *member);             /* enum tls_mode */

#endif
