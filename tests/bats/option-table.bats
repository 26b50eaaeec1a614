#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The options stand in the program, in --help, in the manual and in the completion for bash: all
# must name the same ones.  What each of them does is tested by each_option.py.

load common

# Python: each list of options, a row being the names of one option with their dashes.
PRELUDE='
import re
top = os.path.dirname(TESTS)
def read(name):
    with open(os.path.join(top, name)) as file:
        return file.read()
def printed(*args):
    return subprocess.run([NBDLAB, *args], capture_output=True, text=True, check=True).stdout
def names():
    return printed("--short-options").split() + printed("--long-options").split()
def manual():
    """The rows of the table in the manual as (names, value, default, effect)."""
    text = read("man/nbdlab.1")
    text = re.sub(r"T\{\n(.*?)\nT\}", r"\1", text[text.index("\n.TS\n"):text.index("\n.TE\n")],
                  flags=re.S)
    rows = [line.split("\t") for line in text.split("\n") if line.startswith("\\%")]
    for row in rows:
        same(len(row), 4, "cells of " + row[0])
    return [(row[0].replace("\\%", "").replace("\\-", "-").split(", "), *row[1:]) for row in rows]
def help_rows():
    """From --help: (letter and name, value, effect), and the line that it stands on."""
    pattern = r"^  (-\w, |    )(--[\w-]+)(=\S+)? +(\S.*)$"
    return [(line, *re.match(pattern, line).groups()) for line in printed("--help").splitlines()
            if re.match(r"  +-", line)]
'

@test "--help has a line for each option of at most 80 columns, aligned, in order" {
    { echo "$PRELUDE"; cat; } <<'EOT' | py
rows = help_rows()
lines_of_help = printed("--help").splitlines()
for line in lines_of_help:
    assert len(line) <= 80, "%d columns: %s" % (len(line), line)
same({line.index(effect) for line, _, _, _, effect in rows}, {31}, "columns of the effects")
same([[letter.strip(" ,")] * (letter[2] != " ") + [name] for _, letter, name, _, _ in rows],
     [names[:1 + (names[0][1] != "-")] for names, *_ in manual()], "options in --help")
same([bool(value) for _, _, _, value, _ in rows], [value != "-" for _, value, *_ in manual()],
     "options with a value in --help")
contains_manual = "nbdlab(1)" in lines_of_help[-1]
assert contains_manual, "the last line does not say where the manual is"
EOT
}

@test "defaults are the same in --help, the manual and the program" {
    { echo "$PRELUDE"; cat; } <<'EOT' | py
wanted = {name: default[1:-1] for _, _, name, _, effect in help_rows()
          for default in re.findall(r"\[.*\]$", effect)}
same(len(wanted), 5, "defaults in --help")
same({name: default for names, _, default, _ in manual() for name in names if name in wanted},
     wanted, "defaults in the manual")
code = read("src/options.c")
for name, default in [("PORT", "port"), ("THREADS", "threads"), ("CONNECTIONS", "connections"),
                      ("TIMEOUT", "timeout")]:
    same(re.search(name + r"_DEFAULT = (\d+)", code)[1], wanted["--" + default], default)
assert re.search(r"IN_FLIGHT_DEFAULT_BYTES \(UINT64_C\(1024\) \* 1024 \* 1024\)", code), "1G"
EOT
}

@test "--help names every name of every option, and nothing else" {
    { echo "$PRELUDE"; cat; } <<'EOT' | py
same(sorted(set(re.findall(r"(?<![\w.<-])--?\w[\w-]*", printed("--help")))), sorted(names()),
     "options in --help")
EOT
}

@test "the table of the manual has every name of every option, in the program's order" {
    { echo "$PRELUDE"; cat; } <<'EOT' | py
rows = [row[0] for row in manual()]
same([name for row in rows for name in row if name.startswith("--")],
     printed("--long-options").split(), "long options in the manual")
same([name for row in rows for name in row if not name.startswith("--")],
     printed("--short-options").split(), "short options in the manual")
EOT
}

@test "each row of the manual's table has a paragraph below it, with the same names, in order" {
    { echo "$PRELUDE"; cat; } <<'EOT' | py
page = read("man/nbdlab.1")
body = page[page.index("\n.TE\n"):page.index("\n.Ss Serving one command")]
def names_of(line):
    return ["-" + name for name in re.findall(r"Fl (-?[\w-]+)", line)]
rows = [names for names, *_ in manual()]
# Lists inside a paragraph have items of another form.
written = [names_of(heading) for heading in re.findall(r"^\.It (Fl (?:.*\\\n)*.*)$", body, re.M)]
where = [name for names in written for name in names]
same(len(where), len(set(where)), "names that have one paragraph")
same(sorted(where), sorted(name for names in rows for name in names), "names in paragraphs")
order = [rows.index(row) for names in written for row in rows if names[0] in row]
same(order, sorted(order), "order of the paragraphs")
EOT
}

@test "the completion offers every name of every option, and nothing else" {
    run -0 bash -c 'source "$1/completions/nbdlab.bash"
        COMP_WORDS=(nbdlab -) COMP_CWORD=1; compopt() { :; }; _nbdlab "$NBDLAB"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$TESTS/.."
    same "$(sort <<<"$output")" "$({ "$NBDLAB" --short-options; "$NBDLAB" --long-options; } | sort)"
}
