# SPDX-License-Identifier: BSD-3-Clause
"""Programs whose output may be cut short by who reads it, as `| head` does."""

import concurrent.futures
import contextlib
import os
import select
import sys


def is_gone():
    """Whether nobody reads standard output any more."""
    poll = select.poll()
    poll.register(1, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


@contextlib.contextmanager
def make_pool(count):
    """A pool of processes that does no more than it has begun once nobody wants to know."""
    with concurrent.futures.ProcessPoolExecutor(count) as pool:
        try:
            yield pool
        except BrokenPipeError:
            pool.shutdown(cancel_futures=True)
            raise


def end_with(main):
    """Ends the program with main's status; without a word, with 141, where its reader has left."""
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        if not is_gone():
            raise
        # What is left in Python's buffer goes nowhere, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 141
    sys.exit(status)
