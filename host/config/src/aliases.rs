// SPDX-License-Identifier: Apache-2.0
//! Names that NeMo Gym gave up, and still takes for the ones that came after.

use crate::{
    compose::set,
    error::{Origin, Warning},
    node::{Key, Map, Node, Value},
};

/// Environments by their old and new names. An agent of one is named like it, with `_agent` at the end.
const ENVIRONMENTS: [(&str, &str); 6] = [
    ("reasoning_gym_claude_code", "claude_code_reasoning_gym"),
    ("reasoning_gym_hermes", "hermes_reasoning_gym"),
    ("reasoning_gym_orchestrator", "langgraph_orchestrator_reasoning_gym"),
    ("reasoning_gym_parallel_thinking", "langgraph_parallel_thinking_reasoning_gym"),
    ("reasoning_gym_reflection", "langgraph_reflection_reasoning_gym"),
    ("reasoning_gym_rewoo", "langgraph_rewoo_reasoning_gym"),
];

/// Folders of `responses_api_agents` with the old and new names of a file of `configs`, without `.yaml`.
const AGENT_FILES: [(&str, &str, &str); 3] = [
    ("stirrup_agent", "stirrup_gdpval", "stirrup_agent"),
    ("tau2", "tau2_agent", "tau2"),
    ("verifiers_agent", "acereason-math", "verifiers_agent"),
];

/// The path that came after an old one.
pub(crate) fn file(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    match parts.as_slice() {
        ["environments", name, "config.yaml"] => {
            let (_, new) = ENVIRONMENTS.iter().find(|(old, _)| old == name)?;
            Some(format!("environments/{new}/config.yaml"))
        }
        ["responses_api_agents", folder, "configs", file] => {
            let name = file.strip_suffix(".yaml")?;
            let (.., new) = AGENT_FILES.iter().find(|(of, old, _)| of == folder && *old == name)?;
            Some(format!("responses_api_agents/{folder}/configs/{new}.yaml"))
        }
        _ => None,
    }
}

/// Lets rows for an old agent go to the one that came after it: entries of `agent_map`, and in `agent_name`.
pub(crate) fn agents(root: &mut Node, warnings: &mut Vec<Warning>) {
    let target = |root: &Node, name: &str| {
        let routed = root.child("agent_map").and_then(|map| map.child(name)).and_then(Node::as_text);
        routed.unwrap_or(name).to_owned()
    };
    let renamed: Vec<(String, String)> = ENVIRONMENTS
        .iter()
        .map(|(old, new)| (format!("{old}_agent"), target(root, &format!("{new}_agent"))))
        .filter(|(old, new)| root.child(old).is_none() && root.child(new).is_some())
        .collect();
    if renamed.is_empty() {
        return;
    }
    let origin = Origin::default_value();
    if root.child("agent_map").is_none_or(|map| map.as_map().is_none()) {
        set(root, "agent_map", Node::new(Value::Map(Map::new()), origin.clone()));
    }
    let mut follow = |node: &mut Node, key: &str| {
        let new = renamed.iter().find(|(old, _)| node.as_text() == Some(old)).map(|(_, new)| new);
        if let Some(new) = new {
            let old = node.as_text().unwrap_or_default();
            let text = format!("`{old}` is the old name of `{new}`");
            warnings.push(Warning { key: key.to_owned(), origin: node.origin.clone(), text });
            *node = Node::text(new.as_str(), node.origin.clone());
        }
    };
    if let Some(name) = root.child_mut("agent_name") {
        follow(name, "agent_name");
    }
    if let Some(map) = root.child_mut("agent_map").and_then(Node::as_map_mut) {
        map.values_mut().for_each(|node| follow(node, "agent_map"));
        for (old, new) in &renamed {
            map.entry(Key::text(old.as_str())).or_insert_with(|| Node::text(new.as_str(), origin.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::Source, reader::read_yaml, writer::to_yaml};

    #[test]
    fn old_files_have_new_places() {
        for (path, expected) in [
            (
                "environments/reasoning_gym_rewoo/config.yaml",
                Some("environments/langgraph_rewoo_reasoning_gym/config.yaml"),
            ),
            ("./environments/reasoning_gym_hermes/config.yaml", Some("environments/hermes_reasoning_gym/config.yaml")),
            ("responses_api_agents/tau2/configs/tau2_agent.yaml", Some("responses_api_agents/tau2/configs/tau2.yaml")),
            ("environments/reasoning_gym/config.yaml", None),
            ("responses_api_agents/tau2/configs/tau2.yaml", None),
            ("environments/reasoning_gym_rewoo/other.yaml", None),
        ] {
            assert_eq!(file(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn rows_for_an_old_agent_go_to_the_new_one() {
        for (text, expected, warned) in [
            (
                "hermes_reasoning_gym_agent: {}\n",
                "agent_map: {reasoning_gym_hermes_agent: hermes_reasoning_gym_agent}\n",
                0,
            ),
            (
                "hermes_reasoning_gym_agent: {}\nagent_name: reasoning_gym_hermes_agent\n\
                 agent_map: {x: reasoning_gym_hermes_agent, y: z}\n",
                "agent_name: hermes_reasoning_gym_agent\n\
                 agent_map: {x: hermes_reasoning_gym_agent, y: z, reasoning_gym_hermes_agent: hermes_reasoning_gym_agent}\n",
                2,
            ),
            // An agent that still has the old name keeps its rows.
            ("hermes_reasoning_gym_agent: {}\nreasoning_gym_hermes_agent: {}\n", "", 0),
            (
                "other_agent: {}\nagent_name: reasoning_gym_hermes_agent\n",
                "agent_name: reasoning_gym_hermes_agent\n",
                0,
            ),
        ] {
            let read = |text: &str| read_yaml(text, &Source::Caller).expect("valid");
            let (mut root, mut warnings) = (read(text), Vec::new());
            agents(&mut root, &mut warnings);
            if let Some(entries) = root.as_map_mut() {
                entries.retain(|key, _| matches!(key.as_str(), "agent_map" | "agent_name"));
            }
            let expected = if expected.is_empty() { "{}\n".to_owned() } else { to_yaml(&read(expected)) };
            assert_eq!(to_yaml(&root), expected, "{text}");
            assert_eq!(warnings.len(), warned, "{text}");
        }
    }
}
