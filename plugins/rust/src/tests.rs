// SPDX-License-Identifier: BSD-3-Clause
//! The crate's own tests, with `stand_ins` in place of the server.

mod calls;
mod errors;
mod functions;
mod layout;
mod values;
