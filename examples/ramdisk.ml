(* SPDX-License-Identifier: BSD-3-Clause

   A disk in memory, in OCaml.  nbdlab-ocaml-plugin(3) says how to compile it, and what else a
   plugin can do.

     nbdlab ./ramdisk.so size=64M --run 'nbdcopy image.raw "$uri"'

   All clients share the disk; what they write is gone when the server ends. *)

open Bigarray

let disk : NBDKit.buf ref = ref (Array1.create char c_layout 0)
let size = ref 1048576L

(* The server calls this for each parameter on its command line.  parse_size says what is wrong
   with a size, and raises an exception, which ends the server. *)
let config key value =
  match key with
  | "size" -> size := NBDKit.parse_size value
  | _ -> failwith ("unknown parameter " ^ key ^ ": it takes size")

let get_ready () =
  disk := Array1.create char c_layout (Int64.to_int !size);
  Array1.fill !disk '\000'

(* The part of the disk that a request is about.  The server has checked that there is one. *)
let part count offset = Array1.sub !disk (Int64.to_int offset) count

(* The first argument is what open_connection has returned: here nothing.  The buffer is the
   server's: filling it is the answer. *)
let pread () buf offset _ = Array1.blit (part (NBDKit.buf_len buf) offset) buf
let pwrite () buf offset _ = Array1.blit buf (part (NBDKit.buf_len buf) offset)
let zero () count offset _ = Array1.fill (part (Int64.to_int count) offset) '\000'

let () =
  NBDKit.register_plugin ~name:"ramdisk" ~version:"1.0"
    ~description:"a disk in memory that all clients share"
    ~config ~config_help:"size=SIZE  The size of the disk, 1M if it is not given."
    ~magic_config_key:"size" ~get_ready
    ~thread_model:(fun () -> NBDKit.THREAD_MODEL_PARALLEL)
    ~open_connection:(fun _readonly -> ())
    ~get_size:(fun () -> !size)
    ~pread ~pwrite ~zero ~trim:zero
    ~flush:(fun () _ -> ())
    ~can_multi_conn:(fun () -> true)
    ~can_fua:(fun () -> NBDKit.FuaNative)
    ()
