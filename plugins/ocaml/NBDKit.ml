(* SPDX-License-Identifier: BSD-3-Clause *)

(* The half of the interface that is in OCaml: NBDKit.mli describes it. What is external is in
   functions.c and plugin.c. *)

type flags = flag list
and flag = May_trim | FUA | Req_one | Fast_zero

type fua_flag = FuaNone | FuaEmulate | FuaNative
type cache_flag = CacheNone | CacheEmulate | CacheNop

type extent = {
  offset : int64;
  length : int64;
  is_hole : bool;
  is_zero : bool;
}

type export = {
  name : string;
  description : string option;
}

type thread_model =
  | THREAD_MODEL_SERIALIZE_CONNECTIONS
  | THREAD_MODEL_SERIALIZE_ALL_REQUESTS
  | THREAD_MODEL_SERIALIZE_REQUESTS
  | THREAD_MODEL_PARALLEL

type buf =
  (char, Bigarray.int8_unsigned_elt, Bigarray.c_layout) Bigarray.Array1.t

(* Buffers *)

external unchecked_to_buf : bytes -> int -> buf -> int -> int -> unit
  = "nbdlab_ocaml_copy_to_buf" [@@noalloc]

external unchecked_from_buf : buf -> int -> bytes -> int -> int -> unit
  = "nbdlab_ocaml_copy_from_buf" [@@noalloc]

let buf_len (buf : buf) = Bigarray.Array1.dim buf

let is_within pos len whole = pos >= 0 && len >= 0 && pos <= whole - len

let blit_bytes_to_buf src src_pos buf buf_pos len =
  if not (is_within src_pos len (Bytes.length src) && is_within buf_pos len (buf_len buf)) then
    invalid_arg "NBDKit.blit_bytes_to_buf";
  unchecked_to_buf src src_pos buf buf_pos len

let blit_string_to_buf src src_pos buf buf_pos len =
  if not (is_within src_pos len (String.length src) && is_within buf_pos len (buf_len buf)) then
    invalid_arg "NBDKit.blit_string_to_buf";
  unchecked_to_buf (Bytes.unsafe_of_string src) src_pos buf buf_pos len

let blit_buf_to_bytes buf buf_pos dst dst_pos len =
  if not (is_within buf_pos len (buf_len buf) && is_within dst_pos len (Bytes.length dst)) then
    invalid_arg "NBDKit.blit_buf_to_bytes";
  unchecked_from_buf buf buf_pos dst dst_pos len

(* Functions of the server *)

external set_error : Unix.error -> unit = "nbdlab_ocaml_set_error"
external log_error : string -> unit = "nbdlab_ocaml_error"
external log_debug : string -> unit = "nbdlab_ocaml_debug"
external hexdump : buf -> string -> int64 -> unit = "nbdlab_ocaml_debug_hexdump"
external parse_size : string -> int64 = "nbdlab_ocaml_parse_size"
external parse_bool : string -> bool = "nbdlab_ocaml_parse_bool"
external parse_delay : string -> string -> int * int = "nbdlab_ocaml_parse_delay"
external parse_probability : string -> string -> float = "nbdlab_ocaml_parse_probability"
external read_password : string -> string = "nbdlab_ocaml_read_password"
external realpath : string -> string = "nbdlab_ocaml_realpath"
external absolute_path : string -> string = "nbdlab_ocaml_absolute_path"
external stdio_safe : unit -> bool = "nbdlab_ocaml_stdio_safe"
external export_name : unit -> string = "nbdlab_ocaml_export_name"
external is_tls : unit -> bool = "nbdlab_ocaml_is_tls"
external peer_name : unit -> Unix.sockaddr = "nbdlab_ocaml_peer_name"
external peer_pid : unit -> int64 = "nbdlab_ocaml_peer_pid"
external peer_uid : unit -> int64 = "nbdlab_ocaml_peer_uid"
external peer_gid : unit -> int64 = "nbdlab_ocaml_peer_gid"
external peer_security_context : unit -> string = "nbdlab_ocaml_peer_security_context"
external peer_tls_dn : unit -> string = "nbdlab_ocaml_peer_tls_dn"
external peer_tls_issuer_dn : unit -> string = "nbdlab_ocaml_peer_tls_issuer_dn"
external nanosleep : int -> int -> unit = "nbdlab_ocaml_nanosleep"
external shutdown : unit -> unit = "nbdlab_ocaml_shutdown"
external disconnect : bool -> unit = "nbdlab_ocaml_disconnect"
external stop_fd : unit -> Unix.file_descr = "nbdlab_ocaml_stop_fd"
external name : unit -> string = "nbdlab_ocaml_name"
external timestamp : unit -> string = "nbdlab_ocaml_timestamp"
external version : unit -> string = "nbdlab_ocaml_version"
external api_version : unit -> int = "nbdlab_ocaml_api_version"

let error format = Printf.ksprintf log_error format
let debug format = Printf.ksprintf log_debug format
let debug_hexdump ?(prefix = "") ?(start = 0L) buf = hexdump buf prefix start

(* Exceptions *)

external errno_of_error : Unix.error -> int = "nbdlab_ocaml_errno_of_error"
external errno_of_no_memory : unit -> int = "nbdlab_ocaml_errno_of_no_memory"

let one_line text = String.concat " " (String.split_on_char '\n' (String.trim text))

let unix_text error where argument =
  let text = Unix.error_message error in
  let text = if where = "" then text else where ^ ": " ^ text in
  if argument = "" then text else text ^ ": " ^ argument

let log_backtrace backtrace =
  if Printexc.backtrace_status () then
    String.split_on_char '\n' (Printexc.raw_backtrace_to_string backtrace)
    |> List.iter (fun line -> if line <> "" then log_debug line)

(* What the log says about an exception that a callback ended with, and the errno of it, or 0. *)
let describe callback exn =
  let backtrace = Printexc.get_raw_backtrace () in
  let text, errno =
    match exn with
    | Unix.Unix_error (error, where, argument) ->
        (unix_text error where argument, errno_of_error error)
    | Failure text when text <> "" -> (text, 0)
    | Out_of_memory -> (callback ^ ": Out_of_memory", errno_of_no_memory ())
    | exn -> (callback ^ ": " ^ Printexc.to_string exn, 0)
  in
  log_backtrace backtrace;
  (one_line text, errno)

let () = Callback.register "NBDKit.describe" describe

(* The plugin. C reads these records by position: methods.h has the same order. *)

type facts = {
  name : string;
  longname : string option;
  version : string option;
  description : string option;
  config_help : string option;
  magic_config_key : string option;
}

type 'a callbacks = {
  load : (unit -> unit) option;
  unload : (unit -> unit) option;
  dump_plugin : (unit -> unit) option;
  config : (string -> string -> unit) option;
  config_complete : (unit -> unit) option;
  thread_model : (unit -> thread_model) option;
  get_ready : (unit -> unit) option;
  after_fork : (unit -> unit) option;
  cleanup : (unit -> unit) option;
  preconnect : (bool -> unit) option;
  list_exports : (bool -> bool -> export list) option;
  default_export : (bool -> bool -> string) option;
  open_connection : (bool -> 'a) option;
  close : ('a -> unit) option;
  get_size : ('a -> int64) option;
  export_description : ('a -> string) option;
  block_size : ('a -> int * int * int64) option;
  can_write : ('a -> bool) option;
  can_flush : ('a -> bool) option;
  is_rotational : ('a -> bool) option;
  can_trim : ('a -> bool) option;
  can_zero : ('a -> bool) option;
  can_fast_zero : ('a -> bool) option;
  can_extents : ('a -> bool) option;
  can_multi_conn : ('a -> bool) option;
  can_fua : ('a -> fua_flag) option;
  can_cache : ('a -> cache_flag) option;
  pread : ('a -> buf -> int64 -> flags -> unit) option;
  pwrite : ('a -> buf -> int64 -> flags -> unit) option;
  flush : ('a -> flags -> unit) option;
  trim : ('a -> int64 -> int64 -> flags -> unit) option;
  zero : ('a -> int64 -> int64 -> flags -> unit) option;
  extents : ('a -> int64 -> int64 -> flags -> extent list) option;
  cache : ('a -> int64 -> int64 -> flags -> unit) option;
}

external register : facts -> 'a callbacks -> unit = "nbdlab_ocaml_register"

(* What it prints stands among the lines of the server, which has a buffer of its own. *)
let flushed callback = Option.map (fun f () -> Fun.protect ~finally:Stdlib.flush_all f) callback

let register_plugin ~name ?longname ?version ?description ?load ?get_ready ?after_fork ?cleanup
    ?unload ?config ?config_complete ?config_help ?thread_model ?magic_config_key ?preconnect
    ~open_connection ?close ~get_size ?export_description ?block_size ?can_cache ?can_extents
    ?can_fast_zero ?can_flush ?can_fua ?can_multi_conn ?can_trim ?can_write ?can_zero
    ?is_rotational ~pread ?pwrite ?flush ?trim ?zero ?extents ?cache ?list_exports
    ?default_export ?dump_plugin () =
  register
    { name; longname; version; description; config_help; magic_config_key }
    {
      load;
      unload;
      dump_plugin = flushed dump_plugin;
      config;
      config_complete;
      thread_model;
      get_ready;
      after_fork;
      cleanup;
      preconnect;
      list_exports;
      default_export;
      open_connection = Some open_connection;
      close;
      get_size = Some get_size;
      export_description;
      block_size;
      can_write;
      can_flush;
      is_rotational;
      can_trim;
      can_zero;
      can_fast_zero;
      can_extents;
      can_multi_conn;
      can_fua;
      can_cache;
      pread = Some pread;
      pwrite;
      flush;
      trim;
      zero;
      extents;
      cache;
    }
