#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# The header and what is behind it: the same layout, functions and types as in nbdkit's header, so
# that a plugin may be compiled with either and loaded into either; and each function is exported.

load common

setup() {
    common_setup
    OURS=$TESTS/../include
    # Theirs alone: the folder has a great deal more.
    THEIRS=$DIR/theirs
    mkdir "$THEIRS"
    cp /usr/include/nbdkit-*.h "$THEIRS" || skip "nbdkit-plugin-dev is not installed"
}

# functions FOLDER: the names of the functions that the header declares.
functions() {
    declarations "$1" 2 | grep -oE "nbdkit_[a-z0-9_]+ \(" | tr -d " (" | sort -u
}

# declarations FOLDER VERSION: one a line, as gcc understands it, without parameter names.
declarations() {
    printf '#define NBDKIT_API_VERSION %s\n#include <nbdkit-plugin.h>\n' "$2" >"$DIR/x.c"
    gcc -I "$1" -fsyntax-only -aux-info "$DIR/x.aux" "$DIR/x.c"
    sed -nE 's/^.*\*\/ (extern .*nbdkit_[a-z0-9_]+ \(.*);.*$/\1/p' "$DIR/x.aux" | sort
}

# members FOLDER VERSION: the names of the members of struct nbdkit_plugin that plugins may use.
members() {
    gcc "-DNBDKIT_API_VERSION=$2" -I "$1" -E -P -x c - <<<'#include <nbdkit-plugin.h>' |
        /usr/bin/python3 -c '
import re, sys
struct = re.search(r"struct nbdkit_plugin \{(.*?)\n\};", sys.stdin.read(), re.S).group(1)
for member in struct.split(";"):
    found = re.search(r"\(\s*\*\s*(\w+)\s*\)", member) or re.search(r"(\w+)\s*$", member)
    if found and not re.search(r"_v[12]$|_unused", found.group(1)):
        print(found.group(1))' | sort
}

# exported: the names of what the program offers to plugins; what it copies from libc is not its own.
exported() {
    nm -D --defined-only "$REAL_NBDLAB" | awk '$3 !~ /@/ { print $3 }' | sort
}

@test "struct nbdkit_plugin has the layout of nbdkit's, for both API versions" {
    # Members that are named otherwise are not for plugins.
    cat >"$DIR/layout.c" <<'EOT'
#include <nbdkit-plugin.h>
#include <stddef.h>
#include <stdio.h>

#define SHOW(member) printf(#member " %zu %zu\n", offsetof(struct nbdkit_plugin, member), \
                            sizeof(((struct nbdkit_plugin *)0)->member));
#define VALUE(name) printf(#name " %ld\n", (long)name);

int main(void)
{
    printf("all %zu\n", sizeof(struct nbdkit_plugin));
    SHOW(_struct_size) SHOW(_api_version) SHOW(_thread_model)
    SHOW(name) SHOW(longname) SHOW(version) SHOW(description) SHOW(load) SHOW(unload)
    SHOW(config) SHOW(config_complete) SHOW(config_help) SHOW(open) SHOW(close) SHOW(get_size)
    SHOW(can_write) SHOW(can_flush) SHOW(is_rotational) SHOW(can_trim)
    SHOW(pread) SHOW(pwrite) SHOW(flush) SHOW(trim) SHOW(zero)
    SHOW(errno_is_preserved) SHOW(dump_plugin) SHOW(can_zero) SHOW(can_fua)
    SHOW(magic_config_key) SHOW(can_multi_conn) SHOW(can_extents) SHOW(extents)
    SHOW(can_cache) SHOW(cache) SHOW(thread_model) SHOW(can_fast_zero) SHOW(preconnect)
    SHOW(get_ready) SHOW(after_fork) SHOW(list_exports) SHOW(default_export)
    SHOW(export_description) SHOW(cleanup) SHOW(block_size)
    VALUE(NBDKIT_THREAD_MODEL_SERIALIZE_CONNECTIONS)
    VALUE(NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS)
    VALUE(NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS) VALUE(NBDKIT_THREAD_MODEL_PARALLEL)
    VALUE(NBDKIT_FLAG_MAY_TRIM) VALUE(NBDKIT_FLAG_FUA) VALUE(NBDKIT_FLAG_REQ_ONE)
    VALUE(NBDKIT_FLAG_FAST_ZERO) VALUE(NBDKIT_FUA_NONE) VALUE(NBDKIT_FUA_EMULATE)
    VALUE(NBDKIT_FUA_NATIVE) VALUE(NBDKIT_CACHE_NONE) VALUE(NBDKIT_CACHE_EMULATE)
    VALUE(NBDKIT_CACHE_NATIVE) VALUE(NBDKIT_EXTENT_HOLE) VALUE(NBDKIT_EXTENT_ZERO)
    VALUE(NBDKIT_API_VERSION)
}
EOT
    for version in "" -DNBDKIT_API_VERSION=1 -DNBDKIT_API_VERSION=2; do
        for side in OURS THEIRS; do
            # shellcheck disable=SC2086 # no version is no argument
            gcc $version -I "${!side}" -o "$DIR/layout" "$DIR/layout.c"
            "$DIR/layout" >"$DIR/layout.$side"
        done
        diff "$DIR/layout.OURS" "$DIR/layout.THEIRS"
        # Every member that nbdkit's header has in this version was looked at.
        members "$THEIRS" "$(cut -s -d= -f2 <<<"$version=1")" >"$DIR/members"
        [ "$(wc -l <"$DIR/members")" -gt 40 ]
        awk '/^[_a-z]/ && $1 != "all" { print $1 }' "$DIR/layout.THEIRS" | sort |
            diff "$DIR/members" -
    done
}

@test "the callbacks and functions have the types of nbdkit's" {
    for version in 1 2; do
        declarations "$THEIRS" $version >"$DIR/theirs.h"
        declarations "$OURS" $version >"$DIR/ours.h"
        [ "$(wc -l <"$DIR/theirs.h")" -gt 30 ]
        same "$(comm -23 "$DIR/theirs.h" "$DIR/ours.h")" ""
    done
    # The types of the callbacks: each side's are assigned to the other's.
    for version in 1 2; do
        for side in OURS THEIRS; do
            gcc "-DNBDKIT_API_VERSION=$version" -I "${!side}" -E -P -x c - \
                <<<'#include <nbdkit-plugin.h>' |
                sed -n '/^struct nbdkit_plugin {/,/^};/p' |
                sed "s/nbdkit_plugin/plugin_of_$side/" >"$DIR/$side.h"
        done
        {
            printf '%s\n' '#include <stdint.h>' 'struct nbdkit_extents; struct nbdkit_exports;'
            cat "$DIR/OURS.h" "$DIR/THEIRS.h"
            echo 'void f(struct plugin_of_OURS *a, struct plugin_of_THEIRS *b);'
            echo 'void f(struct plugin_of_OURS *a, struct plugin_of_THEIRS *b) {'
            members "$OURS" $version | sed 's/.*/    a->& = b->&;/'
            echo '}'
        } >"$DIR/types.c"
        [ "$(grep -c 'a->' "$DIR/types.c")" -gt 40 ]
        gcc -Wall -Wno-unused -Werror -fsyntax-only "$DIR/types.c"
    done
}

@test "every function of the header is exported, and nothing that has another name" {
    functions "$OURS" >"$DIR/declared"
    exported >"$DIR/exported"
    [ "$(wc -l <"$DIR/declared")" -gt 45 ]
    diff "$DIR/declared" <(grep '^nbdkit_' "$DIR/exported")
    # A sanitizer exports its own.
    [ -n "${SANITIZE:-}" ] || same "$(grep -v '^nbdkit_' "$DIR/exported")" ""
    same "$(nm -D --defined-only "$REAL_NBDLAB" | awk '$3 ~ /^nbdkit_/ && $2 != "T"')" ""
    same "$(functions "$THEIRS" | comm -23 - "$DIR/declared")" ""
}

@test "lists of a plugin's own are those of nbdkit's filters" {
    local side
    {
        echo '#include <nbdkit-filter.h>'
        gcc -I "$OURS" -E -P -x c - <<<'#include <nbdkit-plugin.h>' | tr '\n' ' ' | tr ';' '\n' |
            sed 's|struct nbdkit_export nbdkit_get|const &|' |
            grep -oE 'extern [a-z_ ]+\*?nbdkit_(extents_new|extents_free|extents_count|get_extent|'\
'exports_new|exports_free|exports_count|get_export)\(.*' | sed 's/$/;/'
    } >"$DIR/both.c"
    same "$(grep -c extern "$DIR/both.c")" 8
    gcc -Wall -Werror -fsyntax-only -DNBDKIT_API_VERSION=2 -I "$THEIRS" "$DIR/both.c"
    for side in OURS:plugin THEIRS:filter; do
        gcc -o "$DIR/sizes" -x c -I "$(eval "echo \$${side%:*}")" - <<EOT
#define NBDKIT_API_VERSION 2
#include <nbdkit-${side#*:}.h>
#include <stddef.h>
#include <stdio.h>
#define AT(member) offsetof(struct nbdkit_extent, member)
int main(void)
{
    printf("%zu %zu %zu %zu %zu %zu %zu\n", sizeof(struct nbdkit_extent), AT(offset), AT(length),
           AT(type), sizeof(struct nbdkit_export), offsetof(struct nbdkit_export, name),
           offsetof(struct nbdkit_export, description));
}
EOT
        "$DIR/sizes"
    done >"$DIR/sizes.txt"
    same "$(sort -u "$DIR/sizes.txt" | wc -l) $(wc -l <"$DIR/sizes.txt")" "1 2"
}

@test "formats are checked when a plugin is compiled" {
    for call in 'nbdkit_error("%s", 1)' 'nbdkit_debug("%s", 1)' 'nbdkit_printf_intern("%s", 1)' \
        'nbdkit_error("%d")'; do
        printf '#include <nbdkit-plugin.h>\nvoid f(void);\nvoid f(void) { %s; }\n' "$call" >"$DIR/x.c"
        run -1 gcc -I "$OURS" -Wformat -Werror -fsyntax-only "$DIR/x.c"
        contains "$output" "format"
        sed -i 's/"%s", 1/"%d %m", 1/; s/"%d")/"%m")/' "$DIR/x.c"
        gcc -I "$OURS" -Wformat -Werror -fsyntax-only "$DIR/x.c"
    done
    for call in nbdkit_verror nbdkit_vdebug nbdkit_vprintf_intern; do
        printf '#include <nbdkit-plugin.h>\nvoid f(const char *s, va_list a);\n' >"$DIR/x.c"
        printf 'void f(const char *s, va_list a) { %s(s, a); }\n' "$call" >>"$DIR/x.c"
        run -1 gcc -I "$OURS" -Wmissing-format-attribute -Werror -fsyntax-only "$DIR/x.c"
        contains "$output" "format attribute"
    done
}

@test "the header compiles alone, as C and C++, and refuses what it does not know" {
    echo '#include <nbdkit-plugin.h>' >"$DIR/x.c"
    strict="-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Werror -fsyntax-only"
    for standard in c99 c11 gnu17; do
        # shellcheck disable=SC2086 # options apart
        gcc -std=$standard $strict -I "$OURS" "$DIR/x.c"
    done
    for standard in c++98 c++11 c++20; do
        # shellcheck disable=SC2086
        g++ -x c++ -std=$standard -Wno-long-long -Wno-variadic-macros ${strict/-Wstrict-prototypes/} \
            -I "$OURS" "$DIR/x.c"
    done
    for version in 0 3 x; do
        run -1 gcc -DNBDKIT_API_VERSION=$version -fsyntax-only -I "$OURS" "$DIR/x.c"
        contains "$output" "NBDKIT_API_VERSION must be 1 or 2"
    done
    echo '#include <nbdkit-common.h>' >"$DIR/x.c"
    run -1 gcc -fsyntax-only -I "$OURS" "$DIR/x.c"
    contains "$output" "include <nbdkit-plugin.h> instead"
}

# walk_api1 SERVER PLUGIN: what a client does to the plugin of API version 1, and what it recorded.
walk_api1() {
    rm -f "$DIR/calls"
    "$1" -f -U "$DIR/walk.sock" -P "$DIR/walk.pid" "$2" log="$DIR/calls" 3>&- 4>&- &
    STARTED+=($!)
    wait_for test -s "$DIR/walk.pid"
    SOCK=$DIR/walk.sock py <<'EOT'
client = ready()
client.write(4096, b"v1" * 256)
same(client.read(4096, 512), b"v1" * 256, "data")
client.write(0, b"fua", flags=FLAG_FUA)
same(client.errno(CMD_TRIM, 512, 1024), 0, "trim")
same(client.errno(CMD_WRITE_ZEROES, 4096, 512), 0, "zero that may trim")
same(client.errno(CMD_WRITE_ZEROES, 8192, 512, flags=FLAG_NO_HOLE), 0, "zero that may not")
client.disconnect()
EOT
    wait_for grep -q close "$DIR/calls"
    kill "${STARTED[-1]}"
    wait "${STARTED[-1]}"
    rm -f "$DIR/walk.pid" "$DIR/walk.sock"
    cat "$DIR/calls"
}

@test "plugins compiled with either header run in either server: API version 1 and 2" {
    for side in OURS THEIRS; do
        gcc -w -fPIC -shared -I "${!side}" -o "$DIR/$side-1.so" "$TESTS/plugins/api1.c"
        gcc -w -fPIC -shared -I "${!side}" -o "$DIR/$side-2.so" "$TESTS/plugins/bare.c"
    done
    for server in "$NBDLAB" nbdkit; do
        for side in OURS THEIRS; do
            walk_api1 "$server" "$DIR/$side-1.so" >"$DIR/calls.$side.${server##*/}"
            # shellcheck disable=SC2016 # the server's shell expands it
            run -0 "$server" -U - "$DIR/$side-2.so" \
                --run 'qemu-io -r -f raw -c "read -P 0x62 0 4k" "$uri"'
            contains "$output" "read 4096/4096 bytes at offset 0"
            same "$("$server" "$DIR/$side-1.so" --dump-plugin | grep api_version)" api_version=1
            same "$("$server" "$DIR/$side-2.so" --dump-plugin | grep ^api_version)" api_version=2
        done
    done
    same "$(md5sum "$DIR"/calls.* | awk '{ print $1 }' | sort -u | wc -l)" 1
    contains "$(cat "$DIR/calls.OURS.nbdkit")" "zero 512 8192 may_trim=0"
}

@test "a plugin in C++, compiled with either header" {
    cat >"$DIR/x.cc" <<'EOT'
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#include <string.h>
#include <string>
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static void *cxx_open(int) { return new std::string(nbdkit_export_name()); }
static void cxx_close(void *handle) { delete static_cast<std::string *>(handle); }
static int64_t cxx_get_size(void *handle) { return static_cast<std::string *>(handle)->size(); }
static int cxx_pread(void *handle, void *buffer, uint32_t count, uint64_t offset, uint32_t)
{
    memcpy(buffer, static_cast<std::string *>(handle)->data() + offset, count);
    return 0;
}

static nbdkit_plugin make_plugin()
{
    nbdkit_plugin p = {};
    p.name = "cxx";
    p.open = cxx_open;
    p.close = cxx_close;
    p.get_size = cxx_get_size;
    p.pread = cxx_pread;
    return p;
}
static nbdkit_plugin plugin = make_plugin();
NBDKIT_REGISTER_PLUGIN(plugin)
EOT
    for side in OURS THEIRS; do
        g++ -Wall -Werror -fPIC -shared -I "${!side}" -o "$DIR/cxx.so" "$DIR/x.cc"
        serve "$DIR/cxx.so"
        py <<'EOT'
client = ready(export="from C++")
same(client.read(0, client.size), b"from C++", "data")
EOT
        stop
    done
}
