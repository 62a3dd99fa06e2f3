// SPDX-License-Identifier: Apache-2.0
//! YAML composition, overrides, interpolation, provenance and validation of the configuration.
//!
//! The stages are types: [`Sources`] say where values come from, [`Composed`] is the one tree that they make, and
//! [`Settings`] is what is served, checked and resolved. Every value knows where it was written, and every error says it.
//!
//! Configurations of NeMo Gym load unchanged: their YAML means here what PyYAML and OmegaConf make of it.

mod agents;
mod aliases;
mod compose;
mod directives;
mod elements;
mod error;
mod interpolation;
mod merge;
mod nearest;
mod node;
mod overrides;
mod python;
mod reader;
mod reserved;
mod roots;
mod scalar;
mod secrets;
mod selection;
mod settings;
mod writer;

pub use compose::{
    CONFIG_DICT_VARIABLE, CONFIG_PATH_VARIABLE, Composed, DumpOptions, EXTRA_ROOTS_VARIABLE, Purpose, Sources,
};
pub use error::{ConfigError, ConfigErrors, ErrorKind, Origin, Source, Warning};
pub use nearest::nearest;
pub use node::{Key, MAX_DEPTH, MAX_NODES, MAX_TEXT, MISSING, Map, Node, Path, TooDeep, Value};
pub use overrides::text_override;
pub use reader::{MAX_FILE, read_yaml};
pub use reserved::{DOMAINS, LICENSES, RESERVED_KEYS};
pub use roots::Roots;
pub use secrets::is_secret_key;
pub use selection::Selection;
pub use settings::{
    Address, Dataset, DatasetKind, DatasetSource, HEAD_PORT, PORT_RANGE, Place, ServerSettings, Settings,
};
