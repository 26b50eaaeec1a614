#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The table of exit statuses stands in the code, in the manual page and in exit_status.py: all
# three must say the same.

load common

# Python: the three tables as {status: (result, effect, errno)}.
PRELUDE='
import re
top = os.path.dirname(TESTS)
def spread(words):
    """The statuses of a cell such as "1, 9-255"."""
    for part in words.split(","):
        first, _, last = part.strip().partition("-")
        yield from range(int(first), int(last or first) + 1)
def manual():
    text = open(top + "/man/nbdlab-sh-plugin.3").read()
    text = text[text.index(".It Sy exit Ta Sy result"):]
    table = {}
    for cells in re.findall(r"^\.It (\d.*)$", text[:text.index(".El")], re.M):
        status, result, effect, errno = [cell.strip() for cell in cells.split(" Ta ")]
        for number in spread(status):
            assert number not in table, "two rows for %d" % number
            table[number] = (result.split(";")[0].split(" ")[0], effect, errno)
    return table
def code():
    """From the array in status.c, whose words are translated to those of the manual."""
    results = {"OK": "success", "ERROR": "error", "MISSING": "method", "FALSE": "false"}
    effects = {"NONE": "-", "SHUTDOWN": "nbdkit_shutdown()",
               "DISCONNECT_FORCE": "nbdkit_disconnect(1)", "DISCONNECT_SOFT": "nbdkit_disconnect(0)"}
    text = open(top + "/sh-plugin/status.c").read().replace("STATUS_MAX_KNOWN + 1", "9")
    rows = re.findall(r"\[(\d+|STATUS_MAX_KNOWN)(?: \.\.\. (\d+))?\] = "
                      r"\{ ?STATUS_(\w+), STATUS_EFFECT_(\w+), (\w+) ?\}", text)
    table = {}
    for first, last, result, effect, errno in rows:
        first = 8 if first == "STATUS_MAX_KNOWN" else int(first)
        for number in range(first, int(last or first) + 1):
            table[number] = (results[result], effects[effect], "-" if errno == "0" else errno)
    return table
'

@test "the manual has a row for each status from 0 to 255" {
    { echo "$PRELUDE"; cat; } <<'EOT' | py
same(sorted(manual()), list(range(256)), "statuses in the manual")
EOT
}

@test "the manual and the code say the same" {
    { echo "$PRELUDE"; cat; } <<'EOT' | py
written, built = manual(), code()
same(sorted(built), list(range(256)), "statuses in the code")
for number in range(256):
    same(built[number], written[number], "exit %d in the code" % number)
EOT
}

@test "the manual and exit_status.py say the same" {
    { echo "$PRELUDE"; cat; } <<'EOT' | py
import exit_status
effects = {"-": "none", "nbdkit_shutdown()": "shutdown", "nbdkit_disconnect(1)": "forced",
           "nbdkit_disconnect(0)": "soft"}
for number, (result, effect, errno) in manual().items():
    same(exit_status.EFFECTS.get(number, "none"), effects[effect], "effect of exit %d" % number)
    tested = exit_status.ERRNOS.get(number, EIO)
    wanted = {"success": 0, "error": globals().get(errno), "false": EIO, "method": EIO}[result]
    if effects[effect] != "forced":  # there the client sees no errno
        same(tested, wanted, "errno of exit %d" % number)
EOT
}

@test "max_known_status is the last status that means something" {
    { echo "$PRELUDE"; cat; } <<'EOT' | py
known = max(number for number, row in manual().items() if row != manual()[1])
output = subprocess.run([NBDLAB, "sh", "--dump-plugin"], capture_output=True, text=True).stdout
assert "max_known_status=%d\n" % known in output, output
EOT
}
