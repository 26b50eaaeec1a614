/* SPDX-License-Identifier: BSD-3-Clause */
/* What the text of a shell script tells of its methods, without running it. Pure. */
#ifndef OUTLINE_H
#define OUTLINE_H

#include <stdbool.h>

/*
 * Does a script with this text surely not have the method, if it says of
 * methods in general that it has not got them? Its name stands nowhere in the
 * text, no pattern of a case matches it, and the script passes the method's name on to nobody
 * who might know it. Writes over the text.
 */
bool outline_lacks_method(char *text, const char *method);

/* Does the method's name stand anywhere but in lines that are comments? */
bool outline_names_method(const char *text, const char *method);

#endif
