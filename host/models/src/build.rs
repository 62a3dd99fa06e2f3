// SPDX-License-Identifier: Apache-2.0
//! Making model servers from the configuration.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use gym_agents::Model;
use gym_protocol::ServerName;
use serde_json::{Map, Value};

use crate::hosted::{azure_model, provider_model};
use crate::openai::OpenAiModel;
use crate::outbound::{Outbound, Policy};
use crate::remote::RemoteModel;
use crate::replay::ReplayModel;
use crate::scripted::ScriptedModel;
use crate::settings::{ModelError, Settings};
use crate::vllm::VllmModel;

/// What model servers share.
pub struct ModelContext {
    /// Folders under which relative paths are looked up, in this order.
    pub roots: Vec<PathBuf>,
    /// The HTTP client of this process.
    pub outbound: Arc<Outbound>,
}

/// The implementations: the third-level keys under `responses_api_models`.
pub const IMPLEMENTATIONS: &[&str] = &[
    "azure_openai_model",
    "inference_provider",
    "openai_model",
    "remote_model",
    "replay_model",
    "scripted_model",
    "vllm_model",
];

/// A model server, and the keys of its block that it has asked for: others have no effect.
pub type Built = (Arc<dyn Model>, BTreeSet<String>);

/// The keys that limit calls to a server elsewhere.
pub fn limits_of_calls() -> BTreeSet<String> {
    let asked = RefCell::default();
    let name = ServerName::new("anywhere").expect("not empty");
    let nothing = Map::new();
    Policy::read(Settings::new(&name, &nothing).watched(&asked)).expect("every limit has a default");
    asked.into_inner()
}

/// Makes the model server `name` of the given implementation from its block of the configuration.
pub fn build_model(
    implementation: &str,
    name: &ServerName,
    block: &Map<String, Value>,
    context: &ModelContext,
) -> Result<Built, ModelError> {
    let asked = RefCell::default();
    let settings = Settings::new(name, block).watched(&asked);
    let model: Arc<dyn Model> = match implementation {
        "azure_openai_model" => Arc::new(azure_model(settings, &context.outbound)?),
        "inference_provider" => Arc::new(provider_model(settings, &context.outbound)?),
        "openai_model" => Arc::new(OpenAiModel::new(settings, &context.outbound)?),
        "scripted_model" => Arc::new(ScriptedModel::new(settings, &context.roots)?),
        "remote_model" => Arc::new(RemoteModel::from_settings(settings, &context.outbound)?),
        "replay_model" => Arc::new(ReplayModel::new(settings, &context.roots)?),
        "vllm_model" => Arc::new(VllmModel::new(settings, &context.outbound)?),
        _ => {
            return Err(ModelError::UnknownImplementation {
                server: name.clone(),
                implementation: implementation.to_owned(),
            });
        }
    };
    Ok((model, asked.into_inner()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::outbound::OutboundSettings;

    #[test]
    fn limits_of_calls_are_known_by_name() {
        let keys = limits_of_calls();
        for key in ["max_concurrent_requests", "num_concurrent_requests", "total_timeout_s", "max_response_bytes"] {
            assert!(keys.contains(key), "{keys:?} lacks `{key}`");
        }
    }

    #[test]
    fn every_implementation_is_built_from_its_block() {
        let rollouts = tempfile::NamedTempFile::new().unwrap();
        let context =
            ModelContext { roots: Vec::new(), outbound: Outbound::new(OutboundSettings::default()).expect("a client") };
        let name = ServerName::new("policy_model").expect("not empty");
        let block = json!({
            "entrypoint": "app.py", "unknown": [1], "openai_base_url": "http://h/v1", "openai_model": "m",
            "base_url": "http://h/v1", "model": "m", "url": "http://h", "rollouts": rollouts.path(), "script": [],
            "return_token_id_information": false, "uses_reasoning_parser": false
        });
        let block = block.as_object().expect("a mapping");
        for implementation in IMPLEMENTATIONS {
            let model = build_model(implementation, &name, block, &context).map_err(|error| error.to_string());
            let (model, asked) = model.expect(implementation);
            assert_eq!(model.name(), &name, "{implementation}");
            assert!(!asked.contains("unknown") && !asked.is_empty(), "{implementation} asks for {asked:?}");
        }
        // What `${oc.env:NAME,false}` stands for is a text.
        let block =
            json!({"openai_base_url": "http://h/v1", "openai_model": "m", "drop_input_reasoning_items": "false"});
        let block = block.as_object().expect("a mapping");
        assert!(build_model("openai_model", &name, block, &context).is_ok());
        let error = build_model("opnai_model", &name, block, &context).err().expect("an error");
        assert_eq!(error.to_string(), "unknown implementation `opnai_model` of model server `policy_model`");
        assert!(error.hint().expect("a hint").contains("openai_model"));
    }
}
