#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The parsers that plugins call: the same plugin in nbdkit and here, over thousands of texts. What
# they make of single texts is in tests/unit/test_parse.c.

load common

@test "nbdkit's parsers and ours agree on thousands of texts" {
    # Not what make has built, which may need a sanitizer that nbdkit has not loaded.
    gcc -fPIC -shared -D_GNU_SOURCE -I "$TESTS/../include" -o "$DIR/parsers.so" \
        "$TESTS/plugins/parsers.c"
    py <<'EOT'
import collections
import re

PLUGIN = os.environ["DIR"] + "/parsers.so"
PER_RUN = 2000


def answers(server, table):
    """What the plugin prints for each function and text."""
    found = []
    for start in range(0, len(table), PER_RUN):
        part = table[start:start + PER_RUN]
        done = subprocess.run([server, "-U", "-", PLUGIN] + ["%s=%s" % case for case in part],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        same(done.returncode, 0, "exit status of " + server)
        printed = done.stdout.decode()
        for case in part:
            head = "%s(%s) = " % case
            same(printed[:len(head)], head, "the next answer of " + server)
            answer, _, printed = printed[len(head):].partition("\n")
            found.append(answer)
    return found


def combine(*lists):
    """Every text of the first list, then of the second, and so on; each combination once."""
    texts = [""]
    for parts in lists:
        texts = [text + part for text in texts for part in parts]
    return list(dict.fromkeys(texts))


LIMITS = [n for bits in (7, 8, 15, 16, 31, 32, 63, 64) for n in (2**bits - 1, 2**bits)]
SPACES = ["", " ", "\t", "\n"]
NUMBERS = (["", "0", "1", "7", "00", "010", "08", "0x", "0x0", "0X1F", "0xfg", "x1", "1 2", "1.5",
            "1e3", "1_0", "9" * 23, "0x" + "9" * 23, "\u0661", "1\u00a0", "inf", "nan", "true"]
           + [form % n for n in LIMITS for form in ("%d", "0x%x", "0%o")])
INTEGERS = combine(["", " ", "\n\v"], ["", "+", "-", "--", "+-", "- "], NUMBERS,
                   ["", " ", "\n", "u", "L", "k", ".0"])
SIZES = INTEGERS + combine(
    ["", "+", "-", " "],
    ["", "0", "1", "2", "010", "7", "8", "0x10", "1.5", "1023", "16383", "16384", "8388607",
     "8388608", "9007199254740991", "9007199254740992", "18014398509481983"],
    list("bkmgtpezysBKMGTPEZYSdwi") + ["\u212a"], ["", "b", "B", "iB", "s", " "])
WORDS = combine(
    SPACES, [form(word) for form in (str.lower, str.upper, str.title) for word in
             "0 1 f t n y false true no yes off on of o tr 2 -1 00 01 +1 null enable".split() + [""]],
    SPACES + ["x"])
REALS = ["", "0", "1", "0.1", ".1", "1.", "1e-1", "1E2", "e1", "0x1", "0x1p-1", "inf", "infinity",
         "nan", "nan(1)", "1e400", "1e308", "1e-400", "1,5", "0.30000000000000004", "x", "1_0",
         "-0", "-1", "+0.5", " 1", "1 ", "\t1", "123456789"]
PROBABILITIES = combine(REALS, [
    "", "%", " %", "%%", "x", ":", "/", ":10", "/10", "/0", ":0", "/-1", "/x", ":1:1", "/1%", ":.5",
    " :10", ": 10", "/inf", "/nan", ":0x10", "/1e-400", "/2 ", "%/2", "/1e308"])
DELAYS = combine(REALS, ["", "s", "ms", "us", "ns", "\u03bcs", "m", "h", "S", "Ms", "sec", " s",
                         "s ", "n", "u", "ks"])

TABLE = [(function, text) for function in
         ["int", "unsigned"] + [sign + "int%d_t" % bits for bits in (8, 16, 32, 64)
                                for sign in ("", "u")] for text in INTEGERS]
TABLE += [("size", text) for text in SIZES] + [("bool", text) for text in WORDS]
TABLE += [("probability", text) for text in PROBABILITIES] + [("delay", text) for text in DELAYS]


def may_differ(function, text, ours, theirs):
    """Where the difference is meant, or known."""
    if theirs == "absent":
        return True  # nbdkit 1.32 is older than the function
    if ours == "error" and "\v-" in text:
        return True  # nbdkit misses a minus sign after a vertical tab
    if function == "delay" and ours == "error":
        # nbdkit takes what is below a nanosecond for 0, and what is too large for anything.
        return theirs == "0.000000000" or float(theirs) < 0 or re.match(r"\D*1e(400|308)", text)
    return False


ours = answers(NBDLAB, TABLE)
theirs = answers("nbdkit", TABLE)
faults = collections.Counter()
for case, mine, other in zip(TABLE, ours, theirs):
    if mine != other and not may_differ(*case, mine, other):
        faults[case[0]] += 1
        if faults[case[0]] <= 5:
            print("%s(%r): here %s, in nbdkit %s" % (*case, mine, other))
same(dict(faults), {}, "functions that differ, and how often")
assert len(TABLE) > 20000, len(TABLE)
same(sum(answer.endswith("changed") for answer in ours), 0, "results changed by an error")
EOT
}

@test "the parsers do not depend on the locale" {
    command -v localedef >/dev/null && [ -e /usr/share/i18n/charmaps ] || skip "needs locales"
    cat >"$DIR/comma" <<'EOT'
comment_char %
escape_char /
LC_NUMERIC
decimal_point ","
thousands_sep "."
grouping 3;3
END LC_NUMERIC
EOT
    # It complains of the categories that are missing, and makes the one that is there.
    localedef --quiet -c -i "$DIR/comma" "$DIR/xx" 2>/dev/null || :
    # libc itself leaks a little when it loads a locale.
    run -0 --separate-stderr env LC_NUMERIC=xx LOCPATH="$DIR" \
        ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" "$NBDLAB" \
        "$BUILD/tests/plugins/parsers.so" locale= real=0,5 probability=0.5 probability=1.5/2.5 delay=1.5ms int=1000 size=1k \
        probability=0,5 delay=1,5 int=1.000
    same "$output" "strtod(0,5) = 0.5
probability(0.5) = 0,5
probability(1.5/2.5) = 0,59999999999999998
delay(1.5ms) = 0.001500000
int(1000) = 1000
size(1k) = 1024
probability(0,5) = error
delay(1,5) = error
int(1.000) = error"
}
