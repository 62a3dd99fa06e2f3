// SPDX-License-Identifier: Apache-2.0
//! Where a dataset lies: `gitlab:NAME/VERSION/FILE`, `hf:OWNER/NAME@REVISION/FILE`, or a path.

use std::{fmt, path::PathBuf, str::FromStr};

/// A place of datasets, or of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// GitLab's model registry. Without a name the registry as a whole.
    GitLab {
        /// The dataset: a registered model.
        name: Option<String>,
        /// Its version, as `0.0.1`.
        version: Option<String>,
        /// The file's path in it.
        file: Option<String>,
    },
    /// A dataset of the Hugging Face hub. Without a name all of an owner.
    HuggingFace {
        /// A person or an organisation.
        owner: String,
        /// The dataset.
        name: Option<String>,
        /// A branch, tag or commit; `main` if it is not said.
        revision: Option<String>,
        /// The file's path in it.
        file: Option<String>,
    },
    /// A file or a folder of this machine.
    Path(PathBuf),
}

/// A text that names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no place of datasets: {reason}")]
pub struct AddressError {
    text: String,
    reason: &'static str,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |reason| AddressError { text: text.to_owned(), reason };
        if let Some(rest) = text.strip_prefix("gitlab:") {
            let mut parts = rest.splitn(3, '/').map(|part| (!part.is_empty()).then(|| part.to_owned()));
            let (name, version) = (parts.next().flatten(), parts.next().flatten());
            let file = parts.next().flatten();
            check(file.as_deref()).map_err(wrong)?;
            if name.is_none() && rest.contains('/') {
                return Err(wrong("write gitlab:NAME/VERSION/FILE"));
            }
            return Ok(Self::GitLab { name, version, file });
        }
        if let Some(rest) = text.strip_prefix("hf:") {
            let rest = rest.strip_prefix("datasets/").unwrap_or(rest);
            let mut parts = rest.splitn(3, '/').map(|part| (!part.is_empty()).then(|| part.to_owned()));
            let owner = parts.next().flatten().ok_or_else(|| wrong("write hf:OWNER/NAME/FILE"))?;
            let name = parts.next().flatten();
            let file = parts.next().flatten();
            check(file.as_deref()).map_err(wrong)?;
            let (name, revision) = match name.as_deref().map(|name| name.split_once('@')) {
                Some(Some((name, revision))) if name.is_empty() || revision.is_empty() => {
                    return Err(wrong("write hf:OWNER/NAME@REVISION/FILE"));
                }
                Some(Some((name, revision))) => (Some(name.to_owned()), Some(revision.to_owned())),
                _ => (name, None),
            };
            return Ok(Self::HuggingFace { owner, name, revision, file });
        }
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        match text.split_once("://") {
            Some(("file", path)) => Ok(Self::Path(PathBuf::from(path))),
            Some(_) => Err(wrong("places are gitlab:…, hf:… and paths")),
            None => Ok(Self::Path(PathBuf::from(text))),
        }
    }
}

/// A file's path in a dataset leads nowhere else.
fn check(file: Option<&str>) -> Result<(), &'static str> {
    let Some(file) = file else { return Ok(()) };
    let strange = |part: &str| part.is_empty() || part == "." || part == "..";
    if file.split('/').any(strange) { Err("the file's path has an empty part, `.` or `..`") } else { Ok(()) }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = |f: &mut fmt::Formatter<'_>, file: &Option<String>| match file {
            Some(file) => write!(f, "/{file}"),
            None => Ok(()),
        };
        match self {
            Self::GitLab { name, version, file: path } => {
                write!(f, "gitlab:{}", name.as_deref().unwrap_or_default())?;
                if let Some(version) = version {
                    write!(f, "/{version}")?;
                }
                file(f, path)
            }
            Self::HuggingFace { owner, name, revision, file: path } => {
                write!(f, "hf:{owner}")?;
                if let Some(name) = name {
                    write!(f, "/{name}")?;
                }
                if let Some(revision) = revision {
                    write!(f, "@{revision}")?;
                }
                file(f, path)
            }
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written() {
        for text in [
            "gitlab:",
            "gitlab:bytedtsinghua_dapo17k",
            "gitlab:bytedtsinghua_dapo17k/0.0.1",
            "gitlab:bytedtsinghua_dapo17k/0.0.1/train/a.jsonl",
            "hf:nvidia",
            "hf:nvidia/Nemotron-RL",
            "hf:nvidia/Nemotron-RL@v1/data/train.jsonl",
            "folder/train.jsonl",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let read: Address = "hf:datasets/o/n".parse().unwrap();
        assert_eq!(read.to_string(), "hf:o/n");
    }

    #[test]
    fn texts_that_name_no_place_are_refused() {
        for text in ["", "hf:", "hf:o/n/../x", "gitlab:n/1//x", "gitlab:/1", "hf:o/@x", "s3://b/x", "https://h/x"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
