(* SPDX-License-Identifier: BSD-3-Clause *)

(** What a plugin written in OCaml calls; nbdlab-ocaml-plugin(3) is its manual.

    A plugin calls {!register_plugin} once, when it is loaded. The server then calls the functions
    that were given. A function reports an error by raising an exception. *)

(** {1 Types} *)

type flags = flag list
(** What the client asked for, beside the data. *)

and flag =
  | May_trim  (** [zero] may make a hole *)
  | FUA  (** the data must be on the disk before the function returns *)
  | Req_one  (** [extents] is asked for the first extent only *)
  | Fast_zero  (** [zero] must be faster than a write, or fail with [EOPNOTSUPP] *)

type fua_flag = FuaNone | FuaEmulate | FuaNative
type cache_flag = CacheNone | CacheEmulate | CacheNop

type extent = {
  offset : int64;
  length : int64;
  is_hole : bool;
  is_zero : bool;
}
(** A part of the disk: nothing may be allocated for it, and it may be known to read as zeroes. *)

type export = {
  name : string;
  description : string option;
}

type thread_model =
  | THREAD_MODEL_SERIALIZE_CONNECTIONS  (** one client at a time *)
  | THREAD_MODEL_SERIALIZE_ALL_REQUESTS  (** one request at a time *)
  | THREAD_MODEL_SERIALIZE_REQUESTS  (** one request of each client at a time *)
  | THREAD_MODEL_PARALLEL  (** any number of requests at a time *)

(** {1 Buffers} *)

type buf =
  (char, Bigarray.int8_unsigned_elt, Bigarray.c_layout) Bigarray.Array1.t
(** The memory of a request, which belongs to the server: when the function that got it has
    returned, its length is 0. *)

val buf_len : buf -> int

val blit_string_to_buf : string -> int -> buf -> int -> int -> unit
(** [blit_string_to_buf src src_pos buf buf_pos len] copies [len] bytes.
    @raise Invalid_argument if that is not within both. *)

val blit_bytes_to_buf : bytes -> int -> buf -> int -> int -> unit
(** The same from bytes. *)

val blit_buf_to_bytes : buf -> int -> bytes -> int -> int -> unit
(** [blit_buf_to_bytes buf buf_pos dst dst_pos len] is the way back. *)

(** {1 The plugin} *)

val register_plugin :
  name:string ->
  ?longname:string ->
  ?version:string ->
  ?description:string ->
  ?load:(unit -> unit) ->
  ?get_ready:(unit -> unit) ->
  ?after_fork:(unit -> unit) ->
  ?cleanup:(unit -> unit) ->
  ?unload:(unit -> unit) ->
  ?config:(string -> string -> unit) ->
  ?config_complete:(unit -> unit) ->
  ?config_help:string ->
  ?thread_model:(unit -> thread_model) ->
  ?magic_config_key:string ->
  ?preconnect:(bool -> unit) ->
  open_connection:(bool -> 'a) ->
  ?close:('a -> unit) ->
  get_size:('a -> int64) ->
  ?export_description:('a -> string) ->
  ?block_size:('a -> int * int * int64) ->
  ?can_cache:('a -> cache_flag) ->
  ?can_extents:('a -> bool) ->
  ?can_fast_zero:('a -> bool) ->
  ?can_flush:('a -> bool) ->
  ?can_fua:('a -> fua_flag) ->
  ?can_multi_conn:('a -> bool) ->
  ?can_trim:('a -> bool) ->
  ?can_write:('a -> bool) ->
  ?can_zero:('a -> bool) ->
  ?is_rotational:('a -> bool) ->
  pread:('a -> buf -> int64 -> flags -> unit) ->
  ?pwrite:('a -> buf -> int64 -> flags -> unit) ->
  ?flush:('a -> flags -> unit) ->
  ?trim:('a -> int64 -> int64 -> flags -> unit) ->
  ?zero:('a -> int64 -> int64 -> flags -> unit) ->
  ?extents:('a -> int64 -> int64 -> flags -> extent list) ->
  ?cache:('a -> int64 -> int64 -> flags -> unit) ->
  ?list_exports:(bool -> bool -> export list) ->
  ?default_export:(bool -> bool -> string) ->
  ?dump_plugin:(unit -> unit) ->
  unit ->
  unit
(** Says what the plugin is. Of two [int64], the first is a count, the second the offset.
    @raise Failure if it was called before. *)

(** {1 Errors and messages} *)

val set_error : Unix.error -> unit
(** The error that the client gets, if this callback ends with an exception. *)

val error : ('a, unit, string, unit) format4 -> 'a
(** A line for the server's log, where an exception would be too much. *)

val debug : ('a, unit, string, unit) format4 -> 'a
(** A line for the log of a server that runs with [-v]. *)

val debug_hexdump : ?prefix:string -> ?start:int64 -> buf -> unit
(** The bytes as rows of 16, for the log of a server that runs with [-v]. *)

(** {1 Parameters}

    What fails is logged first. *)

val parse_size : string -> int64
(** @raise Invalid_argument for a value that is no size; so do all [parse_] functions. *)

val parse_bool : string -> bool

val parse_delay : string -> string -> int * int
(** [parse_delay name value]: seconds and nanoseconds. *)

val parse_probability : string -> string -> float

val read_password : string -> string
(** @raise Failure if it cannot be read; so do the next two. *)

val realpath : string -> string
val absolute_path : string -> string

val stdio_safe : unit -> bool
(** Whether the plugin may read standard input and write to standard output. *)

(** {1 The connection that the callback is for} *)

val export_name : unit -> string
val is_tls : unit -> bool
val peer_name : unit -> Unix.sockaddr
val peer_pid : unit -> int64
val peer_uid : unit -> int64
val peer_gid : unit -> int64
val peer_security_context : unit -> string
val peer_tls_dn : unit -> string
val peer_tls_issuer_dn : unit -> string

(** {1 The server} *)

val nanosleep : int -> int -> unit
(** [nanosleep seconds nanoseconds] waits while others run.
    @raise Failure when the server begins to stop, or the connection to end. *)

val shutdown : unit -> unit
(** Asks the server to stop, and returns. *)

val disconnect : bool -> unit
(** Asks for the end of the client's connection: [true] at once and without a reply, [false] when
    what the client has asked for is answered. *)

val stop_fd : unit -> Unix.file_descr
(** Readable, for [Unix.select], from the moment that the server begins to stop. Do not close it. *)

val name : unit -> string
(** The name that [--name] gave the server. *)

val timestamp : unit -> string

val version : unit -> string
(** The level of nbdkit's interface that this module offers, as ["1.36.0"]. *)

val api_version : unit -> int
