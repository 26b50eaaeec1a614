/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The level of nbdkit's plugin API that these headers offer. nbdlab's own
 * version is in `nbdlab --version` and nbdlab.pc.
 */
#ifndef NBDKIT_VERSION_H
#define NBDKIT_VERSION_H

#define NBDKIT_VERSION_MAJOR 1
#define NBDKIT_VERSION_MINOR 36
#define NBDKIT_VERSION_MICRO 0
#define NBDKIT_VERSION_STRING "1.36.0"

#endif
