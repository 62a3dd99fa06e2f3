// SPDX-License-Identifier: Apache-2.0
//! `gym-host test`: plays the cases of an environment through its real agent and its real component, with scripted
//! models, and compares what comes out. It also checks that every example task has an attempt that earns the full
//! reward and one that does not: a task that cannot be solved as graded is worse than none.

mod case_model;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use bytes::Bytes;
use gym_agents::{Agent, Model, RequestContext};
use gym_config::{Purpose, Settings};
use gym_data::jsonl::Reader;
use gym_protocol::{
    Members, Raw, ServerKind,
    script::{Case, CaseKind, CaseTask},
};
use serde_json::{Map, Value, json};

use crate::{
    args::{ConfigArgs, TestArgs},
    assemble::{Foundation, StandIns, assemble},
    configuration,
    failure::{CommandResult, Failure, WITH_FAULTS, chain},
    options::HostOptions,
    places::{EnvironmentFolder, Places},
};

use case_model::CaseModel;

pub(crate) async fn run(arguments: &TestArgs, places: &Places) -> CommandResult {
    let folders = if arguments.all {
        places.environments()
    } else {
        arguments.environments.iter().map(|name| places.environment(name)).collect::<Result<_, _>>()?
    };
    let foundation = Foundation::new(&HostOptions::default(), gym_models::OutboundSettings::default(), places)?;
    let mut tally = Tally { json: arguments.json, ..Tally::default() };
    for folder in &folders {
        test_environment(folder, arguments, places, &foundation, &mut tally).await?;
    }
    if !arguments.json {
        println!("\n{} passed, {} failed", tally.passed, tally.failed);
    }
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(WITH_FAULTS) })
}

#[derive(Default)]
struct Tally {
    json: bool,
    passed: u64,
    failed: u64,
}

impl Tally {
    fn add(&mut self, environment: &str, name: &str, problems: &[String]) {
        if problems.is_empty() {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
        if self.json {
            let line =
                json!({"environment": environment, "case": name, "passed": problems.is_empty(), "problems": problems});
            println!("{line}");
        } else if !problems.is_empty() {
            println!("FAILED  {environment}: {name}");
            for problem in problems {
                println!("        {problem}");
            }
        }
    }
}

async fn test_environment(
    folder: &EnvironmentFolder,
    arguments: &TestArgs,
    places: &Places,
    foundation: &Foundation,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let examples = rows(&folder.path.join("data/example.jsonl"))?;
    let cases = read_cases(&folder.path.join("tests/cases.jsonl"))?;
    let chosen: Vec<&Case> =
        cases.iter().filter(|case| arguments.case.as_ref().is_none_or(|text| case.name.contains(text))).collect();
    let before = (tally.passed, tally.failed);
    // Cases with the same settings share what was loaded for them.
    let mut by_config: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
    for case in &chosen {
        by_config.entry(Value::Object(case.config.clone()).to_string()).or_default().push(case);
    }
    for cases in by_config.values() {
        let stage = Stage::set(folder, &cases[0].config, places, foundation).await?;
        for case in cases {
            let problems = stage.play(case, &examples).await?;
            tally.add(&folder.name, &case.name, &problems);
        }
    }
    if arguments.case.is_none() {
        let mut problems = unproven(examples.len(), &cases);
        problems.extend(cases.iter().filter_map(|case| too_good(case, &cases)));
        tally.add(&folder.name, "every example task can be solved, and can be failed", &problems);
    }
    if !arguments.json {
        let (passed, failed) = (tally.passed - before.0, tally.failed - before.1);
        println!("{:<40} {passed:>4} passed {failed:>4} failed", folder.name);
    }
    Ok(())
}

fn rows(path: &Path) -> Result<Vec<Members>, Failure> {
    let mut reader = Reader::open(path).map_err(|error| Failure::user(chain(&error)))?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().map_err(|error| Failure::user(chain(&error)))? {
        rows.push(row.members);
    }
    Ok(rows)
}

fn read_cases(path: &Path) -> Result<Vec<Case>, Failure> {
    let mut reader = Reader::open(path).map_err(|error| {
        Failure::user(chain(&error))
            .with_hint("an environment's cases are in tests/cases.jsonl, one JSON object a line")
    })?;
    let mut cases = Vec::new();
    while let Some(row) = reader.next_row().map_err(|error| Failure::user(chain(&error)))? {
        let case = serde_json::from_slice(&row.text)
            .map_err(|error| Failure::user(format!("{}:{} is no case: {error}", path.display(), row.line)))?;
        cases.push(case);
    }
    Ok(cases)
}

/// Which example tasks lack a perfect or a wrong attempt.
fn unproven(examples: usize, cases: &[Case]) -> Vec<String> {
    let tasks = |kind: CaseKind| -> BTreeSet<usize> {
        let of_kind = cases.iter().filter(|case| case.kind == kind);
        of_kind.filter_map(|case| if let CaseTask::Example(index) = case.task { Some(index) } else { None }).collect()
    };
    let (perfect, wrong) = (tasks(CaseKind::Perfect), tasks(CaseKind::Wrong));
    let mut problems = Vec::new();
    for index in 0..examples {
        if !perfect.contains(&index) {
            problems.push(format!("example {index} has no case of kind `perfect`"));
        }
        if !wrong.contains(&index) {
            problems.push(format!("example {index} has no case of kind `wrong`"));
        }
    }
    problems
}

/// What is wrong with the reward of a wrong attempt: it must be less than that of the perfect attempts at its task.
fn too_good(case: &Case, cases: &[Case]) -> Option<String> {
    let reward = case.reward.filter(|_| case.kind == CaseKind::Wrong)?;
    let perfect = cases.iter().filter(|other| other.kind == CaseKind::Perfect && other.task == case.task);
    let full = perfect.filter_map(|other| other.reward).min_by(f64::total_cmp).unwrap_or(1.0);
    (reward >= full).then(|| format!("`{}` is a wrong attempt and gets {reward}, a perfect one {full}", case.name))
}

/// An environment with its agent, and models that say what a case wants.
struct Stage {
    agent: Arc<dyn Agent>,
    /// The agent's model.
    policy: Arc<CaseModel>,
    /// All model servers by name, the policy included.
    models: BTreeMap<String, Arc<CaseModel>>,
}

impl Stage {
    async fn set(
        folder: &EnvironmentFolder,
        config: &Map<String, Value>,
        places: &Places,
        foundation: &Foundation,
    ) -> Result<Self, Failure> {
        let settings = settings(folder, config, places)?;
        let models: BTreeMap<String, Arc<CaseModel>> = settings
            .servers
            .iter()
            .filter(|server| server.kind == ServerKind::ResponsesApiModels)
            .map(|server| {
                (server.name.to_string(), Arc::new(CaseModel::new(server.name.clone(), &foundation.outbound)))
            })
            .collect();
        let stand_ins: StandIns =
            models.iter().map(|(name, model)| (name.clone(), Arc::clone(model) as Arc<dyn Model>)).collect();
        let deployment = assemble(&settings, places, foundation, &stand_ins).await?;
        let lacking =
            |what: &str| Failure::user(format!("the configuration of the environment `{}` has no {what}", folder.name));
        let agent = settings
            .servers
            .iter()
            .find(|server| server.kind == ServerKind::ResponsesApiAgents && server.is_here())
            .ok_or_else(|| lacking("agent"))?;
        let policy = agent
            .reference("model_server")
            .and_then(|reference| models.get(reference.name.as_str()))
            .ok_or_else(|| lacking("model server for its agent"))?;
        let running = deployment.agents.get(agent.name.as_str()).ok_or_else(|| lacking("agent that runs here"))?;
        Ok(Self { agent: Arc::clone(running), policy: Arc::clone(policy), models })
    }

    /// What is wrong with the outcome of a case.
    async fn play(&self, case: &Case, examples: &[Members]) -> Result<Vec<String>, Failure> {
        let row = match &case.task {
            CaseTask::Row(row) => Raw::from_value(row),
            CaseTask::Example(index) => match examples.get(*index) {
                Some(row) => row.to_raw(),
                None => return Ok(vec![format!("there is no example {index}")]),
            },
        };
        for model in self.models.values() {
            model.play(&[])?;
        }
        for (name, turns) in &case.models {
            match self.models.get(name) {
                Some(model) => model.play(turns)?,
                None => return Ok(vec![format!("the configuration has no model server `{name}`")]),
            }
        }
        self.policy.play_and_stop(&case.turns)?;
        let reply = self.agent.run(row.bytes().clone(), &mut RequestContext::default()).await;
        Ok(compare(case, reply.status, &reply.body))
    }
}

fn settings(folder: &EnvironmentFolder, config: &Map<String, Value>, places: &Places) -> Result<Settings, Failure> {
    let file = folder.path.join("configs").join(format!("{}.yaml", folder.name));
    let mut arguments = ConfigArgs { configs: vec![file.display().to_string()], ..ConfigArgs::default() };
    let mut places = places.clone();
    // The environment may lie anywhere; its name must lead to it and to nothing else.
    places.search.insert(0, folder.root());
    let settings = configuration::settings(&arguments, &places, Purpose::Data)?;
    if config.is_empty() {
        return Ok(settings);
    }
    let server = settings
        .servers
        .iter()
        .find(|server| server.kind == ServerKind::ResourcesServers)
        .ok_or_else(|| Failure::user(format!("{} has no resources server", file.display())))?;
    for (key, value) in config {
        let path = format!("{}.{}.{}.{key}", server.name, server.kind.key(), server.implementation);
        arguments.overrides.push(match value {
            Value::String(text) => gym_config::text_override(&path, text),
            other => format!("++{path}={other}"),
        });
    }
    configuration::settings(&arguments, &places, Purpose::Data)
}

fn compare(case: &Case, status: u16, body: &Bytes) -> Vec<String> {
    let reply: Value = match serde_json::from_slice(body) {
        Ok(reply) => reply,
        Err(error) => return vec![format!("the agent answered {status} and no JSON: {error}")],
    };
    let mut problems = Vec::new();
    let failed = reply.get("_ng_failure_class").and_then(Value::as_str);
    let reached = reply.get("_ng_failure_http_status").and_then(Value::as_u64).unwrap_or_else(|| status.into());
    match case.reward {
        Some(expected) => {
            if let Some(class) = failed {
                let message = reply.get("_ng_failure_message").and_then(Value::as_str).unwrap_or_default();
                problems.push(format!("expected reward {expected}, got the failure `{class}`: {message}"));
            } else {
                match reply.get("reward").and_then(Value::as_f64) {
                    Some(reward) if (reward - expected).abs() < 1e-9 => {}
                    other => problems.push(format!("expected reward {expected}, got {other:?} with status {status}")),
                }
            }
        }
        None if failed.is_none() && status == 200 => {
            problems.push(format!("expected no reward, got {}", reply.get("reward").unwrap_or(&Value::Null)));
        }
        None => {}
    }
    if let Some(expected) = case.status.filter(|expected| u64::from(*expected) != reached) {
        problems.push(format!("expected status {expected}, got {reached}"));
    }
    for (name, expected) in &case.expect {
        let found = reply.get(name).unwrap_or(&Value::Null);
        if !same(expected, found) {
            problems.push(format!("expected `{name}` to be {expected}, got {found}"));
        }
    }
    if let Some(expected) = &case.outputs {
        let found = outputs(&reply);
        if found.len() != expected.len() || !expected.iter().zip(&found).all(|(a, b)| same(a, b)) {
            problems.push(format!("expected the tool outputs {}, got {}", json!(expected), json!(found)));
        }
    }
    if case.kind == CaseKind::Perfect && case.reward.is_none_or(|reward| reward <= 0.0) {
        problems.push("a perfect attempt must expect a reward above 0".to_owned());
    }
    problems
}

/// The outputs of all tool calls: as JSON where they are JSON, as text otherwise.
fn outputs(reply: &Value) -> Vec<Value> {
    let response = reply.get("response").or_else(|| reply.get("_ng_failure_partial_response"));
    let items = response.and_then(|response| response.get("output")).and_then(Value::as_array);
    // Where the output is a list of steps, each has all that came before it.
    let items = items.map(|items| items.last().and_then(Value::as_array).unwrap_or(items));
    let of_tools = items.into_iter().flatten().filter(|item| item["type"] == "function_call_output");
    of_tools
        .map(|item| match item.get("output") {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
            other => other.cloned().unwrap_or(Value::Null),
        })
        .collect()
}

/// Equality in which `1` and `1.0` are the same number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn outcomes_are_compared_by_value() {
        let right = case(
            r#"{"name":"x","kind":"edge","task":0,"turns":[],"reward":1,"expect":{"n":3},"outputs":[{"a":1},"text"]}"#,
        );
        let reply = json!({"reward": 1.0, "n": 3.0, "response": {"output": [
            {"type": "function_call_output", "output": "{\"a\": 1.0}"},
            {"type": "message"},
            {"type": "function_call_output", "output": "text"}]}});
        assert_eq!(compare(&right, 200, &Bytes::from(reply.to_string())), Vec::<String>::new());
        let wrong = json!({"reward": 0.5, "n": 4, "response": {"output": []}});
        assert_eq!(compare(&right, 200, &Bytes::from(wrong.to_string())).len(), 3);
    }

    #[test]
    fn a_failure_is_no_reward() {
        let expected = case(r#"{"name":"x","kind":"edge","task":0,"turns":[],"reward":0}"#);
        let reply = json!({"reward": 0.0, "_ng_failure_class": "verifier_error"});
        assert_eq!(compare(&expected, 200, &Bytes::from(reply.to_string())).len(), 1);
        let refused = case(r#"{"name":"x","kind":"edge","task":0,"turns":[],"status":422}"#);
        let reply = json!({"reward": 0.0, "_ng_failure_class": "agent_run_error", "_ng_failure_http_status": 422});
        assert_eq!(compare(&refused, 200, &Bytes::from(reply.to_string())), Vec::<String>::new());
    }

    #[test]
    fn every_example_needs_both_kinds_of_attempts() {
        let cases = [case(r#"{"name":"x","kind":"perfect","task":0,"turns":[],"reward":1}"#)];
        assert_eq!(unproven(1, &cases), ["example 0 has no case of kind `wrong`"]);
    }

    #[test]
    fn a_wrong_attempt_gets_less_than_a_perfect_one() {
        let of = |kind: &str, task: u8, reward: f64| {
            case(&json!({"name": "x", "kind": kind, "task": task, "turns": [], "reward": reward}).to_string())
        };
        let cases = [of("perfect", 0, 3.0), of("wrong", 0, 2.0), of("wrong", 1, 1.0), of("edge", 0, 3.0)];
        let too_good = cases.iter().filter_map(|case| too_good(case, &cases)).count();
        assert_eq!(too_good, 1, "only that of task 1, whose perfect attempt is taken to get 1");
    }
}
