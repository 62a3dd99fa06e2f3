// SPDX-License-Identifier: Apache-2.0
//! Prompt templates in files.

use std::path::Path;

use gym_data::prompt::Prompt;

use crate::failure::{Failure, chain};

/// Reads the YAML file of a prompt template: `{user: …, system: …}`.
pub(crate) fn read(path: &Path) -> Result<Prompt, Failure> {
    let wrong = |reason: String| {
        Failure::user(format!("the prompt template {}: {reason}", path.display())).with_hint(
            "it is a YAML file with `user: …` and perhaps `system: …`, where `{field}` is a field of the row",
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let node =
        gym_config::read_yaml(&text, &gym_config::Source::File(path.into())).map_err(|errors| wrong(chain(&errors)))?;
    let fields = node.as_map().ok_or_else(|| wrong(format!("it is {} and no mapping", node.kind_in_words())))?;
    let (mut user, mut system) = (None, None);
    for (key, value) in fields {
        let field = match key.as_str() {
            "user" => &mut user,
            "system" => &mut system,
            other => return Err(wrong(format!("it has the unknown key `{other}`"))),
        };
        if value.is_null() {
            continue;
        }
        let text = value
            .as_text()
            .ok_or_else(|| wrong(format!("`{}` is {}, not text", key.as_str(), value.kind_in_words())))?;
        *field = Some(text.to_owned());
    }
    Ok(Prompt { user: user.ok_or_else(|| wrong("`user` is missing".to_owned()))?, system })
}
