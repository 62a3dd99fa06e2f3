// SPDX-License-Identifier: Apache-2.0
//! What made a rollout: component and configuration, as digests.

use std::collections::BTreeMap;

use gym_config::Settings;
use gym_protocol::ServerKind;
use serde_json::{Map, Value};

use super::{Deployment, Resources, of_kind};

/// What a rollout records of how it was made, by agent.
pub(crate) fn provenance(settings: &Settings, deployment: &Deployment) -> BTreeMap<String, Value> {
    let mut by_agent = BTreeMap::new();
    for server in of_kind(settings, ServerKind::ResponsesApiAgents) {
        let mut record = Map::new();
        record.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        let block = Value::Object(server.block.clone());
        record.insert("agent_config".to_owned(), digest(&block).into());
        let resources = server.reference("resources_server").map(|reference| reference.name.as_str());
        if let Some(name) = resources
            && let Some(Resources::Here(service)) = deployment.resources.get(name)
            && let Some(resources) = settings.server(name)
        {
            record.insert("component".to_owned(), service.environment().digest().into());
            // The component has its own digest, wherever its file is.
            let mut config = resources.block.clone();
            config.shift_remove("component");
            record.insert("config".to_owned(), digest(&Value::Object(config)).into());
        }
        by_agent.insert(server.name.to_string(), Value::Object(record));
    }
    by_agent
}

fn digest(value: &Value) -> String {
    blake3::hash(value.to_string().as_bytes()).to_hex().to_string()
}
