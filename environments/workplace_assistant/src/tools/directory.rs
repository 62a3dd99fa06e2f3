// SPDX-License-Identifier: Apache-2.0
//! The addresses of the company.

use gym_env::python::Value;
use serde_json::{Value as Json, json};

use crate::{
    patterns::{compile, occurs},
    raise::{Reply, lower},
    table::{Table, json as to_json},
};

pub(super) fn find_email_address(addresses: &mut Table, arguments: &[Value]) -> Reply {
    let [name] = arguments else { return super::unbound() };
    if name.as_text() == Some("") {
        return Ok(json!("Name not provided."));
    }
    let pattern = compile(&Value::Text(lower(name)?))?;
    let column = addresses.column("email_address");
    let mut found: Vec<Json> = Vec::new();
    for row in addresses.rows() {
        if occurs(&pattern, &row.cells[column])? == Some(true) {
            found.push(to_json(&row.cells[column]));
        }
    }
    Ok(found.into())
}
