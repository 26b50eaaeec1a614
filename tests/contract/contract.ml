(* SPDX-License-Identifier: BSD-3-Clause

   The disk of README.md, in OCaml. *)

let kib n = n * 1024
let size = kib 1024
let disk = Bytes.make size '\000'
let variable name = Option.value (Sys.getenv_opt name) ~default:""

(* The log *)

let log_fd =
  match variable "CONTRACT_LOG" with
  | "" -> None
  | path -> Some (Unix.openfile path [ O_WRONLY; O_CREAT; O_APPEND; O_CLOEXEC ] 0o666)

let log words =
  let line = String.concat " " (List.filter (( <> ) "") words) ^ "\n" in
  Option.iter (fun fd -> ignore (Unix.write_substring fd line 0 (String.length line))) log_fd

(* What a callback is told *)

let fail () = failwith "told to fail"

let obey () =
  let ends_connection act =
    act ();
    if variable "CONTRACT_RESULT" = "fail" then (
      NBDKit.set_error Unix.ENOSPC;
      fail ())
  in
  match variable "CONTRACT_DO" with
  | "shutdown" -> ends_connection NBDKit.shutdown
  | "soft" -> ends_connection (fun () -> NBDKit.disconnect false)
  | "forced" -> ends_connection (fun () -> NBDKit.disconnect true)
  | "fail" -> fail ()
  | _ -> ()

let is_told callback = variable "CONTRACT_WHEN" = callback
let is_wrong = variable "CONTRACT_DO" = "wrong"

(* Runs a callback that is told if `can_tell`, between its two lines of the log. *)
let logged ?(can_tell = true) callback arguments body =
  log ("begin" :: callback :: arguments);
  if can_tell && is_told callback then obey ();
  let result = body () in
  log [ "end"; callback ];
  result

(* The same for a callback of a connection, whose handle is its export's name. *)
let of_connection callback body name =
  logged ~can_tell:(name = "told") callback [ name ] (fun () -> body name)

(* Requests *)

let has_told_offset name offset = name = "told" && offset = kib 64

let words_of_flags flags =
  let word flag text = if List.mem flag flags then [ text ] else [] in
  String.concat ","
    (word NBDKit.FUA "fua" @ word NBDKit.May_trim "may_trim" @ word NBDKit.Fast_zero "fast"
    @ word NBDKit.Req_one "req_one")

let request callback name count offset flags body =
  let offset = Int64.to_int offset in
  logged callback ~can_tell:(has_told_offset name offset)
    [ name; string_of_int count; string_of_int offset; words_of_flags flags ]
    (fun () -> body offset)

(* The errno that a request at this offset fails with, 0 for none. *)
let told_errno offset =
  let beyond = offset - kib 256 in
  if beyond > 0 && beyond mod 512 = 0 && beyond / 512 <= 133 then beyond / 512 else 0

let check_offset offset =
  match told_errno offset with
  | 0 -> ()
  | errno ->
      NBDKit.set_error (Unix.EUNKNOWNERR errno);
      failwith (Printf.sprintf "told errno %d" errno)

(* Byte by byte, since the next line is another reader's.  Where a writer has gone and left nothing,
   the next one will come to the same open file. *)
let rec read_line_of gate =
  let byte = Bytes.make 1 ' ' in
  if Unix.read gate byte 0 1 = 0 then Thread.delay 0.005;
  if Bytes.get byte 0 <> '\n' then read_line_of gate

let wait_at_gate () =
  let gate = Unix.openfile (variable "CONTRACT_GATE") [ O_RDONLY; O_CLOEXEC ] 0 in
  Fun.protect ~finally:(fun () -> Unix.close gate) (fun () -> read_line_of gate)

(* The buffer is the server's: too few bytes in it is something that only the plugin can find. *)
let pread name buf offset flags =
  let count = NBDKit.buf_len buf in
  request "pread" name count offset flags (fun offset ->
      if is_wrong && is_told "pread" && has_told_offset name offset then failwith "a short read";
      (match told_errno offset with
      | 0 -> ()
      | errno ->
          let text = Printf.sprintf "told errno %d" errno in
          raise (Unix.Unix_error (Unix.EUNKNOWNERR errno, text, "")));
      if offset = kib 128 && variable "CONTRACT_GATE" <> "" then wait_at_gate ();
      NBDKit.blit_bytes_to_buf disk offset buf 0 count)

let pwrite name buf offset flags =
  let count = NBDKit.buf_len buf in
  request "pwrite" name count offset flags (fun offset ->
      check_offset offset;
      NBDKit.blit_buf_to_bytes buf 0 disk offset count)

let trim name count offset flags =
  let count = Int64.to_int count in
  request "trim" name count offset flags (fun offset ->
      check_offset offset;
      Bytes.fill disk offset count '\000')

let zero name count offset flags =
  let count = Int64.to_int count in
  request "zero" name count offset flags (fun offset ->
      check_offset offset;
      if List.mem NBDKit.Fast_zero flags && offset >= kib 768 then
        raise (Unix.Unix_error (Unix.EOPNOTSUPP, "zero", ""));
      Bytes.fill disk offset count '\000')

let cache name count offset flags =
  request "cache" name (Int64.to_int count) offset flags check_offset

let flush name flags =
  logged "flush" ~can_tell:(name = "told") [ name; words_of_flags flags ] ignore

let all_extents =
  let extent start stop is_hole is_zero =
    let offset = Int64.of_int (kib start) in
    { NBDKit.offset; length = Int64.of_int (kib (stop - start)); is_hole; is_zero }
  in
  [ extent 0 512 false false; extent 512 768 true true; extent 768 1024 false true ]

let extents name count offset flags =
  request "extents" name (Int64.to_int count) offset flags (fun start ->
      if is_wrong && is_told "extents" && has_told_offset name start then
        [ { NBDKit.offset = Int64.add offset 512L; length = 512L; is_hole = false;
            is_zero = false } ]
      else
        let is_after extent = Int64.add extent.NBDKit.offset extent.NBDKit.length > offset in
        List.filter is_after all_extents)

(* Everything else *)

let is_wrong_in callback name = is_wrong && is_told callback && name = "told"

let get_size name =
  if is_wrong_in "get_size" name then -5L else Int64.of_int size

let block_size name =
  ((if is_wrong_in "block_size" name then 3 else 1), 4096, Int64.of_int size)

let config key value =
  logged "config" [ key; value ] (fun () ->
      if key <> "word" && key <> "other" then failwith ("unknown parameter " ^ key))

let open_connection readonly =
  let name = NBDKit.export_name () in
  logged "open" ~can_tell:(name = "told") [ name; string_of_bool readonly ] (fun () -> name)

let list_exports readonly is_tls =
  logged "list_exports" [ string_of_bool readonly; string_of_bool is_tls ] (fun () ->
      [
        { NBDKit.name = "plain"; description = None };
        { NBDKit.name = "told"; description = Some "does what it is told" };
      ])

let default_export readonly is_tls =
  logged "default_export" [ string_of_bool readonly; string_of_bool is_tls ] (fun () -> "plain")

let () =
  let step callback = logged callback [] in
  let yes callback = of_connection callback (fun _ -> true) in
  NBDKit.register_plugin ~name:"contract" ~version:"1"
    ~load:(fun () -> step "load" ignore)
    ~unload:(fun () -> step "unload" ignore)
    ~config
    ~config_complete:(fun () -> step "config_complete" ignore)
    ~magic_config_key:"word"
    ~thread_model:(fun () -> step "thread_model" (fun () -> NBDKit.THREAD_MODEL_PARALLEL))
    ~get_ready:(fun () -> step "get_ready" ignore)
    ~after_fork:(fun () -> step "after_fork" ignore)
    ~cleanup:(fun () -> step "cleanup" ignore)
    ~preconnect:(fun readonly -> logged "preconnect" [ string_of_bool readonly ] ignore)
    ~list_exports ~default_export ~open_connection
    ~close:(of_connection "close" ignore)
    ~get_size:(of_connection "get_size" get_size)
    ~export_description:(of_connection "export_description" (fun name -> "the export " ^ name))
    ~block_size:(of_connection "block_size" block_size)
    ~can_write:(yes "can_write") ~can_flush:(yes "can_flush") ~can_trim:(yes "can_trim")
    ~can_zero:(yes "can_zero") ~can_fast_zero:(yes "can_fast_zero")
    ~can_extents:(yes "can_extents") ~can_multi_conn:(yes "can_multi_conn")
    ~is_rotational:(yes "is_rotational")
    ~can_fua:(of_connection "can_fua" (fun _ -> NBDKit.FuaNative))
    ~can_cache:(of_connection "can_cache" (fun _ -> NBDKit.CacheNop))
    ~pread ~pwrite ~flush ~trim ~zero ~extents ~cache ()
