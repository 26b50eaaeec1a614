#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The manual pages of the functions for plugins: one for each function, found by its name, with the
# types of the header, and with examples that a compiler takes.

load common
load page

setup() {
    common_setup
    SOURCES=$(cd "$TESTS/.." && pwd)
    # The program is not needed for its manual: nothing is built.
    make -s -C "$SOURCES" install-man DESTDIR="$DIR/stage" PREFIX=/usr >/dev/null
    MAN3=$DIR/stage/usr/share/man/man3
}

# exported: every function that plugins are offered.
exported() {
    nm -D --defined-only "$REAL_NBDLAB" | awk '$3 ~ /^nbdkit_/ { print $3 }' | sort
}

@test "each function has a page that is found by its name, and each page is for functions" {
    exported >"$DIR/exported"
    [ "$(wc -l <"$DIR/exported")" -gt 45 ]
    (cd "$MAN3" && printf '%s\n' nbdkit_*.3) | sed 's/\.3$//' | sort | diff "$DIR/exported" -
    while read -r name; do
        mandoc -T ascii "$MAN3/$name.3" | sed $'s/.\b//g' >"$DIR/page"
        sed -n '/^NAME$/,/^SYNOPSIS$/p' "$DIR/page" | grep -qw "$name"
        sed -n '/^SYNOPSIS$/,/^DESCRIPTION$/p' "$DIR/page" | grep -q "$name("
        for section in "RETURN VALUES" EXAMPLES "SEE ALSO"; do
            grep -qx "$section" "$DIR/page" || { echo "$name.3 has no section $section"; return 1; }
        done
    done <"$DIR/exported"
    # nbdlab-plugin(3) leads to every one of them.
    for page in "$SOURCES"/man/nbdkit_*.3; do
        grep -q "^\.Xr $(basename "$page" .3) 3" "$SOURCES/man/nbdlab-plugin.3"
    done
}

@test "the synopses have the types of the header" {
    for page in "$SOURCES"/man/nbdkit_*.3; do
        {
            echo '#define NBDKIT_API_VERSION 2'
            sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$page" | /usr/bin/python3 -c '
import re, shlex, sys
text = sys.stdin.read().replace("\\\n", "")
print("#include <%s>" % re.search(r"^\.In (\S+)", text, re.M).group(1))
for kind, call in re.findall(r"^\.Ft (.*)\n\.Fn (.*)", text, re.M):
    name, *arguments = shlex.split(call)
    print(kind.strip("\""), name, "(" + ", ".join(arguments) + ");")'
        } >"$DIR/synopsis.c"
        [ "$(grep -c '^[a-z].*nbdkit_' "$DIR/synopsis.c")" -ge "$(grep -c '^\.Nm' "$page")" ]
        gcc -Wall -Werror -Wno-redundant-decls -fsyntax-only -I "$SOURCES/include" "$DIR/synopsis.c"
    done
}

# c_examples PAGE: the examples in C, as what they look like on a terminal.
c_examples() {
    awk -v prefix="$DIR/example-" '
        /^\.Bd -literal/ { text = ""; inside = 1; next }
        /^\.Ed/ {
            if (text ~ /(^|\n)(static|struct|#define) /) {
                count++
                print text > (prefix count ".c")
            }
            inside = 0
        }
        inside { gsub(/\\e/, "\\"); sub(/^\\&/, ""); text = text $0 "\n" }' "$1"
}

@test "the examples compile" {
    local total=0
    for page in "$SOURCES"/man/nbdkit_*.3; do
        rm -f "$DIR"/example-*.c
        c_examples "$page"
        for example in "$DIR"/example-*.c; do
            [ -e "$example" ] || { echo "no example in C: $page"; return 1; }
            {
                echo '#define NBDKIT_API_VERSION 2'
                printf '#include <%s>\n' nbdkit-plugin.h inttypes.h poll.h stdatomic.h stdio.h \
                    stdlib.h string.h unistd.h
                cat "$example"
            } >"$DIR/x.c"
            gcc -Wall -Wextra -Werror -Wno-unused -Wno-unused-parameter -Wno-sign-compare \
                -fsyntax-only -I "$SOURCES/include" "$DIR/x.c"
            total=$((total + 1))
        done
    done
    [ $total -gt 15 ]
}

@test "the plugin in nbdlab-plugin(3) compiles as it says, and does what it says" {
    PAGE=$SOURCES/man/nbdlab-plugin.3
    cd "$DIR"
    # The installed header, as pkg-config would find it.
    printf 'Name: nbdlab\nVersion: 1\nDescription: -\nCflags: -I%s\n' "$SOURCES/include" >nbdlab.pc
    export PKG_CONFIG_PATH=$DIR
    block source >count.c
    run_block serve
    contains "$output" "fa fb fc fd fe ff 00 01 02 03 04 05 06 07 08 09"
    seen_by_clients 1048576 ./count.so
    serve ./count.so
    py <<'EOT'
client = ready()
same(client.read(250, 16), bytes(n & 255 for n in range(250, 266)), "data")
EOT
    stop
}
