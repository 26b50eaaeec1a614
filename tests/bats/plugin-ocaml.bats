#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-3-Clause
#
# Plugins written in OCaml: the example, the commands of nbdlab-ocaml-plugin(3), and what each
# function and callback of the module NBDKit does, seen from the client's side.

load common
load page

setup() {
    [ -e "$BUILD/ocaml/NBDKit.cmx" ] || skip "there is no ocamlopt"
    common_setup
    PAGE=$TESTS/../man/nbdlab-ocaml-plugin.3
    EXAMPLE=$BUILD/examples/ocaml-ramdisk.so
    # Threads that OCaml 4 makes have a stack for signals, which is not AddressSanitizer's to give
    # back.
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:use_sigaltstack=0"
}

# compile NAME ARGS...: the command of the manual, for $DIR/NAME.ml; ARGS are the libraries.
compile() {
    local name=$1
    shift
    (cd "$DIR" && ocamlopt -g -output-obj -runtime-variant _pic -o "$name.so" -I +unix -I +threads \
        -I "$BUILD/ocaml" "$@" NBDKit.cmx "$name.ml" -cclib -lnbdkitocaml)
}

# plugin NAME <<'EOT': makes $DIR/NAME.so of the OCaml code in standard input.  It can use
# register and its pieces of a plugin that reads as zeroes.
plugin() {
    {
        cat <<'EOT'
let fill buf c = Bigarray.Array1.fill buf c
let zeroes _ buf _ _ = fill buf '\000'
let parallel () = NBDKit.THREAD_MODEL_PARALLEL
let mib _ = 1048576L
# 1 "disk.ml"
EOT
        cat
    } >"$DIR/$1.ml"
    compile "$1" unix.cmxa threads.cmxa
}

# refused ARGS...: the server does not start; what it says is in $output.
refused() {
    run -1 timeout 20 "$NBDLAB" -U - "$@" --run true
}

@test "ramdisk.ml: real clients read and write it, and it is shared" {
    serve "$EXAMPLE" size=8M
    same "$(nbdinfo --size "$URI")" 8388608
    head -c 8M /dev/urandom >"$DIR/in"
    nbdcopy "$DIR/in" "$URI"
    qemu-img compare -f raw -F raw "$DIR/in" "$URI"
    nbdcopy --connections=4 "$URI" "$DIR/out"
    cmp "$DIR/in" "$DIR/out"
    qemu-io -f raw -c 'write -f -P 7 12345 54321' -c 'read -P 7 12345 54321' \
        -c 'write -z 1M 1M' -c 'read -P 0 1M 1M' -c 'discard 3M 64k' -c 'read -P 0 3M 64k' \
        -c flush "$URI" >"$DIR/io"
    not grep -i -e fail -e error "$DIR/io"
    py <<'EOT'
handle, other = libnbd(), libnbd()
handle.pwrite(b"shared", (8 << 20) - 6)
same(bytes(other.pread(6, (8 << 20) - 6)), b"shared")
assert handle.can_multi_conn() and handle.can_fua() and handle.can_trim()
EOT
    stop
    refused "$EXAMPLE" size=many
    contains "$output" 'size: "many" is not a size'
    refused "$EXAMPLE" colour=blue
    contains "$output" "unknown parameter colour"
    same "$(grep -c error <<<"$output")" 1
    run -0 "$NBDLAB" --dump-plugin "$EXAMPLE"
    contains "$output" "thread_model=parallel"
    grep -q '^ *nbdlab \./ramdisk.so ' "$TESTS/../examples/ramdisk.ml"
}

@test "the manual's plugin, typed in and compiled with the manual's command" {
    mkdir "$DIR/bin"
    ln -s "$NBDLAB" "$DIR/bin/nbdlab"
    PATH=$DIR/bin:$PATH
    cd "$DIR"
    block source >hello.ml
    # As it is installed.
    make -s -C "$TESTS/.." B="$DIR/build" V=2 install-ocaml DESTDIR="$DIR/stage" \
        PREFIX=/usr/local >/dev/null 3>&- 4>&-
    block compile | sed "s|/usr/local|$DIR/stage/usr/local|" >compile.sh
    run -0 sh -e compile.sh
    block serve >run.sh
    run -0 timeout 20 sh -e run.sh
    contains "$output" "hello, hello, hello"
    seen_by_clients 1048576 ./hello.so
}

@test "the manual names every function and callback of NBDKit.mli" {
    man=$(sed 's/\\-/-/g' "$PAGE")
    for name in $(sed -n 's/^val \([a-z_0-9]*\).*/\1/p' "$TESTS/../plugins/ocaml/NBDKit.mli") \
        $(sed -n 's/^  ?*\([a-z_]*\):[(s].*->$/~\1/p' "$TESTS/../plugins/ocaml/NBDKit.mli"); do
        case $name in
            '~'*) grep -q "^\.It Cm .*\b${name#'~'}\b.* No : " <<<"$man" ;;
            *) grep -q "NBDKit\.$name\b" <<<"$man" ;;
        esac || { echo "not in the manual: $name"; false; }
    done
}

@test "without threads.cmxa: it works, one request at a time" {
    cp "$TESTS/../examples/ramdisk.ml" "$DIR"
    compile ramdisk unix.cmxa
    run -0 "$NBDLAB" --dump-plugin "$DIR/ramdisk.so"
    contains "$output" "thread_model=serialize_all_requests"
    serve "$DIR/ramdisk.so" 4M
    head -c 4M /dev/urandom >"$DIR/in"
    nbdcopy --connections=4 "$DIR/in" "$URI"
    nbdcopy --connections=4 "$URI" "$DIR/out"
    cmp "$DIR/in" "$DIR/out"
    stop
    "$NBDLAB" -U "$SOCK" -P "$PIDFILE" "$DIR/ramdisk.so" 4M
    SERVER=$(cat "$PIDFILE")
    STARTED+=("$SERVER")
    qemu-io -f raw -c 'write -P 7 0 4M' -c 'read -P 7 0 4M' "$URI"
    kill "$SERVER"
    wait_for not is_alive "$SERVER"
}

@test "functions: parameters, paths, the server, messages" {
    plugin calls <<'EOT'
let say = NBDKit.error
let config key value =
  match key with
  | "size" -> say "size %Ld" (NBDKit.parse_size value)
  | "bool" -> say "bool %b" (NBDKit.parse_bool value)
  | "delay" -> let s, ns = NBDKit.parse_delay "delay" value in say "delay %d %d" s ns
  | "chance" -> say "chance %g" (NBDKit.parse_probability "chance" value)
  | "password" -> say "password %s" (NBDKit.read_password value)
  | "real" -> say "real %s" (NBDKit.realpath value)
  | "absolute" -> say "absolute %s" (NBDKit.absolute_path value)
  | "caught" -> (try ignore (NBDKit.parse_size value) with Invalid_argument what -> say "caught %s" what)
  | _ -> failwith "which?"
let config_complete () =
  say "stdio %b" (NBDKit.stdio_safe ());
  say "name %s version %s api %d" (NBDKit.name ()) (NBDKit.version ()) (NBDKit.api_version ());
  say "clock %d" (String.length (NBDKit.timestamp ()));
  NBDKit.debug "debug %d %s" 42 "texts"
let get_ready () =
  let readable, _, _ = Unix.select [ NBDKit.stop_fd () ] [] [] 0. in
  say "stopping %b" (readable <> [])
let () =
  NBDKit.register_plugin ~name:"calls" ~config ~config_complete ~get_ready
    ~open_connection:(fun _ -> ()) ~get_size:mib ~pread:zeroes ()
EOT
    ln -s "$DIR/calls.so" "$DIR/link"
    cd "$DIR"
    serve --name=somebody -v ./calls.so size=1M bool=off delay=1500ms chance=10% password=secret \
        real=link absolute=nowhere caught=x
    for line in "size 1048576" "bool false" "delay 1 500000000" "chance 0.1" "password secret" \
        "real $DIR/calls.so" "absolute $DIR/nowhere" "caught NBDKit.parse_size" "stdio true" \
        "name somebody version 1.36.0 api 2" "debug 42 texts" "stopping false"; do
        has "$line"
    done
    stop
    # One line of the log is enough for each, whatever exception it was.
    for parameter in size=x bool=x delay=x chance=x real=nowhere password=+/nowhere; do
        refused ./calls.so "$parameter"
        same "$(grep -c "error: " <<<"$output")" 1
        lacks_failure=$(grep -c "NBDKit\." <<<"$output" || :)
        same "$lacks_failure" 0
    done
}

@test "functions: the connection" {
    plugin peer <<'EOT'
let address () =
  match NBDKit.peer_name () with
  | Unix.ADDR_UNIX _ -> "unix"
  | Unix.ADDR_INET (host, _) -> Unix.string_of_inet_addr host
let try_ f = try f () with Failure what -> "failed " ^ what
let facts _readonly =
  Printf.sprintf "%s|%s|%b|%s|%s" (NBDKit.export_name ()) (address ()) (NBDKit.is_tls ())
    (try_ (fun () -> Printf.sprintf "%Ld %Ld %Ld" (NBDKit.peer_pid ()) (NBDKit.peer_uid ())
       (NBDKit.peer_gid ())))
    (try_ NBDKit.peer_tls_dn ^ try_ NBDKit.peer_tls_issuer_dn)
let pread text buf offset _ =
  fill buf ' ';
  if offset = 0L then NBDKit.blit_string_to_buf text 0 buf 0 (String.length text);
  NBDKit.debug_hexdump ~prefix:"dump: " ~start:4096L (Bigarray.Array1.sub buf 0 16)
let () =
  NBDKit.register_plugin ~name:"peer" ~open_connection:facts ~get_size:mib ~pread ()
EOT
    serve -v "$DIR/peer.so"
    py <<'EOT'
text = bytes(libnbd(export="some export").pread(512, 0)).decode().strip()
same(text.split("|"), ["some export", "unix", "false",
                       "%d %d %d" % (os.getpid(), os.getuid(), os.getgid()),
                       ""])
EOT
    has "dump: 00001000: 73 6f 6d 65 20"
    stop
    run -0 timeout 20 "$NBDLAB" -p 0 -i 127.0.0.1 "$DIR/peer.so" --run 'nbdcopy "$uri" - | head -c 100'
    contains "$output" "|127.0.0.1|false|failed NBDKit.peer_gid|"
}

@test "exceptions: which errno the client gets, and what the log says, once" {
    plugin wrong <<'EOT'
exception Own of string
let pread () buf offset _ =
  match Int64.to_int offset / 512 with
  | 0 -> ignore (Unix.openfile "/nowhere/at/all" [ Unix.O_RDONLY ] 0)
  | 1 -> failwith "it failed"
  | 2 -> raise Not_found
  | 3 -> NBDKit.set_error Unix.ENOSPC; failwith "no room"
  | 4 -> NBDKit.set_error Unix.EPERM; raise (Unix.Unix_error (Unix.ENOENT, "f", "x"))
  | 5 -> raise (Own "mine\nhas lines")
  | 6 -> raise Out_of_memory
  | 7 -> invalid_arg "index"
  | 8 -> raise (Unix.Unix_error (Unix.EUNKNOWNERR 108, "", ""))
  | 9 -> assert false
  | 10 -> ignore (NBDKit.parse_size "x")
  | 11 -> ignore (Bytes.create (-1))
  | 12 -> fill (Bigarray.Array1.sub buf 0 (NBDKit.buf_len buf + 1)) 'x'
  | 13 -> NBDKit.blit_string_to_buf "short" 0 buf 0 6
  | 14 -> NBDKit.set_error Unix.ENOSPC; fill buf '\000'
  | _ -> fill buf '\000'
let () = NBDKit.register_plugin ~name:"wrong" ~open_connection:ignore ~get_size:mib ~pread ()
EOT
    serve "$DIR/wrong.so"
    py <<'EOT'
handle = libnbd()
# The protocol has no ENOENT.
expected = [EIO, EIO, EIO, ENOSPC, EPERM, EIO, ENOMEM, EIO, ESHUTDOWN, EIO, EINVAL, EIO, EIO, EIO, 0, 0]
for number, errno in enumerate(expected):
    same(nbd_errno(handle.pread, 512, 512 * number), errno, "read %d" % number)
EOT
    for line in "open: No such file or directory: /nowhere/at/all" "it failed" "pread: Not_found" \
        "no room" "f: No such file or directory: x" "mine" "pread: Out_of_memory" \
        "pread: Invalid_argument(\"index\")" "Cannot send after transport endpoint shutdown" \
        "pread: File \"disk.ml\", line 13" 'size: "x" is not a size' 'NBDKit.blit_string_to_buf'; do
        has "$line" || { has "${line/size: /}"; }
    done
    # A line for each, even where the exception has more.
    same "$(messages | wc -l)" 14
    stop
    # With OCAMLRUNPARAM=b, the place in the source is among the debug messages.
    OCAMLRUNPARAM=b serve -v "$DIR/wrong.so"
    not qemu-io -f raw -r -c 'read 1k 512' "$URI"
    has 'debug: Raised at Wrong.pread in file "disk.ml", line 6,'
    stop
}

@test "exceptions: in every other callback" {
    plugin each <<'EOT'
let at = Option.value (Sys.getenv_opt "AT") ~default:""
let maybe name = if at = name then failwith ("told to fail in " ^ name)
let yes name _ = maybe name; true
let range name () _ _ _ = maybe name
let () =
  NBDKit.register_plugin ~name:"each"
    ~load:(fun () -> maybe "load") ~unload:(fun () -> maybe "unload")
    ~config_complete:(fun () -> maybe "config_complete")
    ~thread_model:(fun () -> maybe "thread_model"; NBDKit.THREAD_MODEL_PARALLEL)
    ~get_ready:(fun () -> maybe "get_ready") ~after_fork:(fun () -> maybe "after_fork")
    ~cleanup:(fun () -> maybe "cleanup") ~preconnect:(fun _ -> maybe "preconnect")
    ~list_exports:(fun _ _ -> maybe "list_exports"; [])
    ~default_export:(fun _ _ -> maybe "default_export"; "x")
    ~open_connection:(fun _ -> maybe "open_connection") ~close:(fun () -> maybe "close")
    ~get_size:(fun () -> maybe "get_size"; 1048576L)
    ~export_description:(fun () -> maybe "export_description"; "text")
    ~block_size:(fun () -> maybe "block_size"; (1, 4096, -1L))
    ~can_write:(yes "can_write") ~can_flush:(yes "can_flush") ~can_trim:(yes "can_trim")
    ~can_zero:(yes "can_zero") ~can_fast_zero:(yes "can_fast_zero")
    ~can_extents:(yes "can_extents") ~can_multi_conn:(yes "can_multi_conn")
    ~is_rotational:(yes "is_rotational") ~can_fua:(fun () -> maybe "can_fua"; NBDKit.FuaNative)
    ~can_cache:(fun () -> maybe "can_cache"; NBDKit.CacheNop)
    ~pread:zeroes ~pwrite:(fun () _ _ _ -> maybe "pwrite") ~flush:(fun () _ -> maybe "flush")
    ~trim:(range "trim") ~zero:(range "zero") ~cache:(range "cache")
    ~extents:(fun () count offset _ -> maybe "extents";
      [ { NBDKit.offset; length = count; is_hole = true; is_zero = true } ])
    ()
EOT
    for at in config_complete thread_model get_ready after_fork; do
        AT=$at refused "$DIR/each.so"
        same "$(grep -c "error: told to fail in $at" <<<"$output")" 1
    done
    for at in load cleanup unload; do
        AT=$at serve "$DIR/each.so"
        nbdinfo --size "$URI"
        stop
        has "told to fail in $at"
    done
    for at in preconnect open_connection default_export get_size block_size can_write can_flush \
        can_trim can_zero can_extents can_multi_conn is_rotational can_fua can_cache; do
        AT=$at serve "$DIR/each.so"
        not nbdinfo --size "$URI" 2>/dev/null
        has "told to fail in $at"
        stop
    done
    for at in pwrite flush trim zero cache extents; do
        AT=$at serve "$DIR/each.so"
        AT=$at py <<'EOT'
handle = libnbd(meta=True)
calls = {"pwrite": lambda: handle.pwrite(b"x" * 512, 0), "flush": handle.flush,
         "trim": lambda: handle.trim(512, 0), "zero": lambda: handle.zero(512, 0),
         "cache": lambda: handle.cache(512, 0),
         "extents": lambda: handle.block_status(512, 0, lambda *args: 0)}
for name, call in calls.items():
    same(nbd_errno(call), EIO if name == os.environ["AT"] else 0, name)
EOT
        has "told to fail in $at"
        stop
    done
    AT=close serve "$DIR/each.so"
    nbdinfo --size "$URI"
    wait_for has "told to fail in close"
    stop
}

@test "answers that cannot be are errors, and a buffer that is kept is empty" {
    plugin cannot <<'EOT'
let kept = ref None
let name () = NBDKit.export_name ()
let pread _ buf offset _ =
  (match !kept with
   | Some old when offset = 512L ->
       if NBDKit.buf_len old <> 0 then failwith "still there";
       ignore (Bigarray.Array1.get old 0)
   | _ -> kept := Some buf);
  fill buf '\000'
let extent offset length = { NBDKit.offset; length; is_hole = false; is_zero = false }
let extents export _ offset _ =
  match export with
  | "behind" -> [ extent (Int64.add offset 512L) 512L ]
  | "negative" -> [ extent offset (-1L) ]
  | "none" -> []
  | _ -> [ extent 0L 1048576L ]
let () =
  NBDKit.register_plugin ~name:"cannot" ~open_connection:(fun _ -> name ())
    ~get_size:(fun export -> if export = "size" then -1L else 1048576L)
    ~block_size:(fun export ->
      match export with "block" -> (3, 4096, 65536L) | "minus" -> (-1, 1, 1L) | _ -> (1, 4096, -1L))
    ~export_description:(fun export -> if export = "nul" then "a\000b" else "fine")
    ~pread ~extents ()
EOT
    serve "$DIR/cannot.so"
    py <<'EOT'
handle = libnbd()
same(nbd_errno(handle.pread, 512, 0), 0)
same(nbd_errno(handle.pread, 512, 512), EIO)
for export in "size", "block", "minus":
    assert nbd_errno(libnbd, export=export), export
for export, errno in ("behind", EIO), ("negative", EIO), ("none", EINVAL):
    same(nbd_errno(libnbd(export=export, meta=True).block_status, 4096, 4096, lambda *args: 0), errno, export)
same(nbd_errno(libnbd(export="", meta=True).block_status, 4096, 4096, lambda *args: 0), 0)
EOT
    has "index out of bounds"
    lacks "still there"
    has "get_size: a disk cannot have -1 bytes"
    has "block_size: -1, 1, 1 are not sizes"
    has "with -1 bytes cannot be"
    nbdinfo "nbd+unix:///nul?socket=$SOCK" >/dev/null || :
    stop
    # Before OCaml's data could be damaged, it would be found here.
    lacks "Segmentation"
}

@test "parallel: a request that waits in nanosleep, in a delay or for a lock holds up no other" {
    mkfifo "$DIR/gate"
    plugin waits <<'EOT'
let lock = Mutex.create ()
let condition = Condition.create ()
let is_open = ref false
let pread () buf offset _ =
  (match Int64.to_int offset / 512 with
   | 1 -> (try NBDKit.nanosleep 600 0 with Failure _ -> failwith "woken")
   | 2 -> while not !is_open do Thread.delay 0.01 done
   | 3 ->
       Mutex.lock lock;
       while not !is_open do Condition.wait condition lock done;
       Mutex.unlock lock
   | 4 -> ignore (input_line (open_in (Sys.getenv "GATE")))
   | 5 -> while not !is_open do ignore (Sys.opaque_identity (ref 0)) done
   | 9 ->
       Mutex.lock lock;
       is_open := true;
       Condition.broadcast condition;
       Mutex.unlock lock
   | _ -> ());
  fill buf 'x'
let () =
  NBDKit.register_plugin ~name:"waits" ~thread_model:parallel ~open_connection:ignore
    ~get_size:mib ~pread ()
EOT
    GATE=$DIR/gate serve -t 8 "$DIR/waits.so"
    py <<'EOT'
handle = libnbd()
waiting = {n: handle.aio_pread(nbd.Buffer(512), 512 * n) for n in (1, 2, 3, 4, 5)}
other = libnbd()
same(bytes(other.pread(512, 0)), b"x" * 512)
for number, cookie in waiting.items():
    assert not handle.aio_command_completed(cookie), number
same(bytes(other.pread(512, 9 * 512)), b"x" * 512)
open_gate(os.environ["DIR"] + "/gate")
def all_done():
    handle.poll(10)
    done.update(n for n in waiting if n not in done and n != 1 and handle.aio_command_completed(waiting[n]))
    return len(done) == 4
done = set()
until(all_done, "the requests that were let go on")
assert not handle.aio_command_completed(waiting[1])
EOT
    # The one in nanosleep is woken when the server stops.
    stop
}

@test "many threads that allocate, with collections and compactions: the data stays right" {
    plugin garbage <<'EOT'
let disk = Array.make 4096 ""
let lock = Mutex.create ()
let with_lock f = Mutex.lock lock; Fun.protect ~finally:(fun () -> Mutex.unlock lock) f
let count = Atomic.make 0
let churn () =
  let n = Atomic.fetch_and_add count 1 in
  ignore (Sys.opaque_identity (List.init 500 (fun i -> String.make (i mod 50) 'g')));
  if n mod 97 = 0 then Gc.compact () else if n mod 13 = 0 then Gc.full_major ()
let blocks offset buf f =
  let first = Int64.to_int offset / 512 in
  for i = 0 to (NBDKit.buf_len buf / 512) - 1 do f (first + i) (i * 512) done
let pwrite name buf offset _ =
  blocks offset buf (fun block pos ->
    let data = Bytes.create 512 in
    NBDKit.blit_buf_to_bytes buf pos data 0 512;
    with_lock (fun () -> disk.(block) <- Bytes.to_string data));
  churn ();
  assert (name = String.concat "" [ "na"; "me" ])
let pread name buf offset _ =
  churn ();
  blocks offset buf (fun block pos ->
    let data = with_lock (fun () -> disk.(block)) in
    if data = "" then fill (Bigarray.Array1.sub buf pos 512) '\000'
    else NBDKit.blit_string_to_buf data 0 buf pos 512);
  assert (name = "name")
let () =
  NBDKit.register_plugin ~name:"garbage" ~thread_model:parallel
    ~open_connection:(fun _ -> String.concat "" [ "na"; "me" ])
    ~get_size:(fun _ -> 2097152L) ~block_size:(fun _ -> (512, 4096, 1048576L))
    ~can_multi_conn:(fun _ -> true) ~pread ~pwrite ()
EOT
    serve -t 8 "$DIR/garbage.so"
    head -c 2M /dev/urandom >"$DIR/in"
    for _ in 1 2; do
        nbdcopy --connections=4 --requests=8 --request-size=16384 "$DIR/in" "$URI"
        nbdcopy --connections=4 --requests=8 --request-size=16384 "$URI" "$DIR/out"
        cmp "$DIR/in" "$DIR/out"
    done
    stop
}

@test "in the background: OCaml serves after the fork, whatever ran before it" {
    plugin forked <<'EOT'
let seen = ref "nothing"
let before = ref 0
(* ThreadSanitizer does not bear a thread before the fork. *)
let has_early_thread = Sys.getenv_opt "SANITIZE" <> Some "thread"
let count () = while true do incr before; Thread.delay 0.001 done
let () = if has_early_thread then ignore (Thread.create count ())
let get_ready () =
  while has_early_thread && !before < 3 do Thread.yield () done;
  Gc.full_major ()
let after_fork () =
  ignore (Thread.create (fun () -> seen := "a thread of after_fork") ())
let pread () buf _ _ =
  while !seen = "nothing" do Thread.delay 0.001 done;
  fill buf ' ';
  NBDKit.blit_string_to_buf !seen 0 buf 0 (String.length !seen)
let () =
  NBDKit.register_plugin ~name:"forked" ~thread_model:parallel ~get_ready ~after_fork
    ~open_connection:ignore ~get_size:mib ~pread ()
EOT
    # LeakSanitizer looks for the thread that was before the fork.
    export ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"
    for disk in "$DIR/forked.so" "$BUILD/tests/contract/ocaml.so"; do
        rm -f "$PIDFILE"
        timeout 20 "$NBDLAB" -U "$SOCK" -P "$PIDFILE" "$disk" 2>>"$LOG" 3>&- 4>&-
        SERVER=$(cat "$PIDFILE")
        STARTED+=("$SERVER")
        timeout 20 nbdcopy --connections=4 "$URI" - >"$DIR/out"
        [ "$(wc -c <"$DIR/out")" -eq 1048576 ]
        kill "$SERVER"
        wait_for not is_alive "$SERVER"
        [ ! -e "$SOCK" ]
    done
    timeout 20 "$NBDLAB" -U - "$DIR/forked.so" --run 'nbdcopy "$uri" - | head -c 22' >"$DIR/out"
    same "$(cat "$DIR/out")" "a thread of after_fork"
}

@test "OCaml code that runs programs and forks, in a callback" {
    plugin runs <<'EOT'
let line () =
  let pipe = Unix.open_process_in "echo from a program" in
  let line = input_line pipe in
  ignore (Unix.close_process_in pipe);
  line
let fork () =
  match Unix.fork () with
  | 0 -> Unix._exit 7
  | pid -> (match Unix.waitpid [] pid with _, Unix.WEXITED 7 -> () | _ -> failwith "no 7")
let pread () buf _ _ =
  fork ();
  Thread.join (Thread.create fork ());
  let text = line () in
  if Sys.command "true" <> 0 then failwith "not true";
  fill buf ' ';
  NBDKit.blit_string_to_buf text 0 buf 0 (String.length text)
let () = NBDKit.register_plugin ~name:"runs" ~thread_model:parallel ~open_connection:ignore ~get_size:mib ~pread ()
EOT
    serve "$DIR/runs.so"
    py <<'EOT'
handles = [libnbd() for _ in range(4)]
buffers = [nbd.Buffer(64) for _ in handles]
cookies = [handle.aio_pread(buffer, 0) for handle, buffer in zip(handles, buffers)]
def is_done(handle, cookie):
    return handle.aio_command_completed(cookie) or (handle.poll(10), False)[1]
for handle, buffer, cookie in zip(handles, buffers, cookies):
    until(lambda: is_done(handle, cookie), "a reply")
    same(bytes(buffer.to_bytearray()).strip(), b"from a program")
EOT
    stop
}

@test "shutdown and disconnect" {
    plugin ends <<'EOT'
let pread () buf offset _ =
  (match Int64.to_int offset / 512 with
   | 1 -> NBDKit.shutdown ()
   | 2 -> NBDKit.disconnect false
   | 3 -> NBDKit.disconnect true
   | 4 -> NBDKit.shutdown (); failwith "and failed"
   | _ -> ());
  fill buf 'x'
let () =
  NBDKit.register_plugin ~name:"ends" ~thread_model:parallel ~open_connection:ignore
    ~close:(fun () -> NBDKit.error "closed") ~cleanup:(fun () -> NBDKit.error "cleaned up")
    ~unload:(fun () -> NBDKit.error "unloaded") ~get_size:mib ~pread ()
let () = at_exit (fun () -> NBDKit.error "at exit")
EOT
    serve "$DIR/ends.so"
    py <<'EOT'
other = libnbd()
handle = libnbd()
same(bytes(handle.pread(512, 1024)), b"x" * 512)
same(nbd_errno(handle.pread, 512, 0), ESHUTDOWN)
handle = libnbd()
assert nbd_errno(handle.pread, 512, 3 * 512)
assert handle.aio_is_closed() or handle.aio_is_dead()
same(bytes(other.pread(512, 0)), b"x" * 512)
same(bytes(libnbd().pread(512, 512)), b"x" * 512)
EOT
    wait_exit
    has "closed"
    same "$(messages | tail -n 3 | sed 's/.*: //')" "cleaned up
unloaded
at exit"
    serve "$DIR/ends.so"
    py <<<'same(nbd_errno(libnbd().pread, 512, 4 * 512), EIO)'
    wait_exit
}

@test "many connections, each with threads of its own, leave nothing behind" {
    plugin leaves <<'EOT'
let opened = Atomic.make 0 and closed = Atomic.make 0
let resident () =
  let file = open_in "/proc/self/statm" in
  Fun.protect ~finally:(fun () -> close_in file) (fun () ->
    Scanf.sscanf (input_line file) "%d %d" (fun _ resident -> resident))
let pread _ buf offset _ =
  fill buf ' ';
  if offset = 0L then begin
    Gc.compact ();
    let text = Printf.sprintf "%d %d %d %d" (Atomic.get opened) (Atomic.get closed)
      (Gc.stat ()).Gc.live_words (resident ()) in
    NBDKit.blit_string_to_buf text 0 buf 0 (String.length text)
  end
let () =
  NBDKit.register_plugin ~name:"leaves" ~thread_model:parallel
    ~open_connection:(fun _ -> Atomic.incr opened; Bytes.create 1000)
    ~close:(fun _ -> Atomic.incr closed) ~get_size:mib ~pread ()
EOT
    serve "$DIR/leaves.so"
    py <<'EOT'
def figures():
    return [int(word) for word in bytes(libnbd().pread(512, 0)).split()]
def visit(times):
    for _ in range(times):
        handle = libnbd()
        cookies = [handle.aio_pread(nbd.Buffer(512), 512 * n) for n in range(1, 5)]
        done = set()
        def is_done():
            done.update(c for c in cookies if c not in done and handle.aio_command_completed(c))
            return len(done) == 4 or (handle.poll(10), False)[1]
        until(is_done, "four replies")
        handle.shutdown()
def settled():
    opened, closed = figures()[:2]
    return closed == opened - 1
visit(100)
until(settled, "the connections to be closed")
first = figures()
visit(400)
until(settled, "the connections to be closed")
last = figures()
assert last[0] >= first[0] + 400, last
assert last[2] < first[2] + 5000, (first, last)
if SLOWER == 1:
    assert last[3] < first[3] + 2000, (first, last)
EOT
    stop
}

@test "what a beginner meets when the plugin is loaded" {
    plugin nothing <<<'let () = ignore (zeroes, parallel, mib)'
    refused "$DIR/nothing.so"
    contains "$output" "does not call NBDKit.register_plugin"
    contains "$output" "its plugin_init failed"
    plugin twice <<'EOT'
let register () = NBDKit.register_plugin ~name:"twice" ~open_connection:ignore ~get_size:mib ~pread:zeroes ()
let () = register (); register ()
EOT
    refused "$DIR/twice.so"
    contains "$output" "NBDKit.register_plugin was called twice"
    plugin fails <<<'let () = ignore (open_in "/nowhere/at/all")'
    refused "$DIR/fails.so"
    contains "$output" "failed while it was loaded: top level: Sys_error(\"/nowhere/at/all: No such file"
    plugin system <<<'let () = ignore (Unix.openfile "/nowhere" [ Unix.O_RDONLY ] 0)'
    refused "$DIR/system.so"
    contains "$output" "failed while it was loaded: open: No such file or directory: /nowhere"
    run -2 plugin incomplete <<'EOT'
let () = NBDKit.register_plugin ~name:"incomplete" ~open_connection:ignore ~pread:zeroes ()
EOT
    contains "$output" "get_size:(unit -> int64) -> unit"
    plugin unnamed <<'EOT'
let () = NBDKit.register_plugin ~name:"bad name" ~open_connection:ignore ~get_size:mib ~pread:zeroes ()
EOT
    refused "$DIR/unnamed.so"
    contains "$output" ".name must be letters"
    # A program is not a plugin; nor is what the library of stubs is missing from.
    echo 'let () = print_endline "hello"' >"$DIR/program.ml"
    (cd "$DIR" && ocamlopt -output-obj -runtime-variant _pic -o program.so program.ml)
    refused "$DIR/program.so"
    contains "$output" "it has no plugin_init"
    (cd "$DIR" && ocamlopt -output-obj -runtime-variant _pic -o bare.so -I "$BUILD/ocaml" \
        unix.cmxa NBDKit.cmx nothing.ml)
    refused "$DIR/bare.so"
    contains "$output" "undefined symbol: nbdlab_ocaml_"
}

@test "a recursion without an end is an exception" {
    plugin deep <<'EOT'
let rec deep n = if n = 0 then 0 else 1 + deep (n - 1)
let pread () buf offset _ =
  if offset = 512L then ignore (Sys.opaque_identity (deep max_int));
  fill buf 'x'
let () =
  NBDKit.register_plugin ~name:"deep" ~thread_model:parallel ~open_connection:ignore
    ~get_size:mib ~pread ()
EOT
    # OCaml does not return from its signal handler, but raises the exception.
    export TSAN_OPTIONS="${TSAN_OPTIONS:-}:report_signal_unsafe=0"
    serve "$DIR/deep.so"
    py <<'EOT'
for _ in range(3):
    handle = libnbd()
    same(nbd_errno(handle.pread, 512, 512), EIO)
    same(bytes(handle.pread(512, 0)), b"x" * 512)
EOT
    has "pread: Stack overflow"
    stop
}

@test "the flags of requests, and refusing a fast zero without a line in the log" {
    plugin flags <<'EOT'
let word = function
  | NBDKit.May_trim -> "may_trim" | NBDKit.FUA -> "fua" | NBDKit.Req_one -> "req_one"
  | NBDKit.Fast_zero -> "fast"
let log name count flags =
  NBDKit.error "%s %d %s." name count (String.concat "," (List.map word flags))
let int = Int64.to_int
let zero () count _ flags =
  log "zero" (int count) flags;
  if List.mem NBDKit.Fast_zero flags then raise (Unix.Unix_error (Unix.EOPNOTSUPP, "zero", "fast"))
let yes () = true
let () =
  NBDKit.register_plugin ~name:"flags" ~open_connection:ignore
    ~get_size:(fun () -> 8589934592L) ~pread:zeroes ~can_fast_zero:yes ~can_trim:yes
    ~can_fua:(fun () -> NBDKit.FuaNative) ~can_cache:(fun () -> NBDKit.CacheNop)
    ~pwrite:(fun () buf _ flags -> log "pwrite" (NBDKit.buf_len buf) flags)
    ~flush:(fun () flags -> log "flush" 0 flags) ~zero
    ~trim:(fun () count _ flags -> log "trim" (int count) flags)
    ~extents:(fun () count offset flags -> log "extents" (int count) flags;
      [ { NBDKit.offset; length = 8589934592L; is_hole = true; is_zero = true } ])
    ()
EOT
    serve "$DIR/flags.so"
    py <<'EOT'
handle = libnbd(meta=True)
handle.pwrite(b"x" * 512, 0, nbd.CMD_FLAG_FUA)
handle.trim((1 << 32) - 512, 0)
handle.trim((1 << 32) - 512, 0, nbd.CMD_FLAG_FUA)
handle.zero(512, 0, nbd.CMD_FLAG_NO_HOLE)
handle.zero(512, 0, nbd.CMD_FLAG_FUA)
same(nbd_errno(handle.zero, 512, 0, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE), ENOTSUP)
handle.block_status(512, 0, lambda *args: 0, nbd.CMD_FLAG_REQ_ONE)
EOT
    same "$(messages | sed 's/.*error: //')" "pwrite 512 fua.
trim 4294966784 .
trim 4294966784 fua.
zero 512 .
zero 512 may_trim,fua.
zero 512 fast.
extents 512 req_one."
    stop
}
