// SPDX-License-Identifier: Apache-2.0
//! Which group an attempt belongs to, and which place in it.

use gym_protocol::scan;
use sha2::{Digest, Sha256};

use super::{Attempt, Options, Result, refused};

pub(super) type Hash = [u8; 32];

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Named by the caller; of several attempts at a group the newest counts.
    Explicit {
        /// `_ng_group_id`
        id: String,
        /// `_ng_group_attempt`
        attempt: u64,
    },
    /// Told by task and prompt.
    Prompt {
        /// `_ng_task_index`, or else `prompt_id`; JSON text.
        task: Vec<u8>,
        /// Of the prompt.
        prompt: Hash,
        /// `_ng_group_attempt`
        attempt: u64,
    },
}

impl Key {
    pub(super) fn is_explicit(&self) -> bool {
        matches!(self, Self::Explicit { .. })
    }
}

/// One attempt's place.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) key: Key,
    /// The place; without one the next that is free.
    pub(super) slot: Option<usize>,
    /// Of the prompt, and of the fields that must be the same.
    pub(super) prompt: Hash,
    /// Of the response.
    pub(super) response: Hash,
}

impl Place {
    pub(super) fn read(attempt: &Attempt, options: &Options) -> Result<Self> {
        let prompt = {
            let mut hash = Sha256::new();
            let mut part = |text: Option<&[u8]>| {
                let text = text.unwrap_or(b"null");
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            };
            part(scan::member(attempt.params(), "input"));
            options.same.iter().for_each(|name| part(attempt.fields.get(name)));
            hash.finalize().into()
        };
        let response = Sha256::digest(attempt.response()).into();
        let value = |name: &str| attempt.fields.get(name).filter(|text| *text != b"null");
        let group_attempt = match value("_ng_group_attempt").filter(|_| options.explicit) {
            None => 0,
            Some(text) => serde_json::from_slice(text)
                .map_err(|_| refused(422, "_ng_group_attempt must be a whole number from 0"))?,
        };
        let slot = match value("_ng_rollout_index") {
            _ if !options.explicit => None,
            None => return Err(refused(422, "_ng_rollout_index is required for cohort comparison")),
            Some(text) => {
                let index = serde_json::from_slice::<usize>(text).ok().filter(|index| *index < options.size);
                let shown = String::from_utf8_lossy(text);
                let wrong = || format!("_ng_rollout_index must be in [0, {}); got {shown}", options.size);
                Some(index.ok_or_else(|| refused(422, &wrong()))?)
            }
        };
        let id: Option<String> = value("_ng_group_id").and_then(|text| serde_json::from_slice(text).ok());
        let key = match id.filter(|_| options.explicit) {
            Some(id) => Key::Explicit { id, attempt: group_attempt },
            None => {
                let task = value("_ng_task_index").or_else(|| value("prompt_id")).unwrap_or_default().to_vec();
                Key::Prompt { task, prompt, attempt: group_attempt }
            }
        };
        Ok(Self { key, slot, prompt, response })
    }
}
