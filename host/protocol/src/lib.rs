// SPDX-License-Identifier: Apache-2.0
//! The words of the wire: JSON that is carried unread, descriptions of environments, validation with the error bodies
//! that clients expect, faults, names. No I/O, no runtime, no HTTP library.

pub mod environment;
pub mod fault;
pub mod lax;
pub mod model_request;
pub mod names;
pub mod number;
pub mod raw;
pub mod responses;
pub mod scan;
pub mod script;
pub mod validate;

pub use fault::{Blame, Fault, FaultKind};
pub use model_request::ModelRequest;
pub use names::{ServerKind, ServerName, ServerRef};
pub use raw::{Members, ObjectWriter, Raw};
