// SPDX-License-Identifier: Apache-2.0
//! From the text of an answer to a value, as the usual Python libraries read it.

use gym_env::{Schema, python};
use serde::{Deserialize, Serialize};

mod csv;
mod toml;
mod xml;
mod yaml;

/// What an answer is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, Schema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    #[default]
    Json,
    Yaml,
    Xml,
    Toml,
    Csv,
}

/// Reads a text; the error says what is wrong with it.
pub(crate) fn parse(format: Format, text: &str) -> Result<python::Value, String> {
    match format {
        Format::Json => python::loads(text).map_err(|error| error.to_string()),
        Format::Yaml => yaml::parse(text),
        Format::Xml => xml::parse(text),
        Format::Toml => toml::parse(text),
        Format::Csv => csv::parse(text),
    }
}
