// SPDX-License-Identifier: Apache-2.0
//! From options to what is collected. Each option has a flag, and the name that it has in NeMo Gym; the flag wins.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use gym_config::Settings;
use gym_data::prompt::Prompt;
use gym_rollouts::{CollectPlan, Repeats, Shard};
use serde_json::Value;

use crate::{args::CollectOptions, failure::Failure, gym_options::GymOptions, prompt_file};

/// How often a failing rollout is attempted, over all runs; NeMo Gym's variable changes it.
const MAX_ATTEMPTS: u64 = 3;

/// How many rollouts run at once if nothing is said.
const CONCURRENCY: usize = 64;

/// Options of NeMo Gym's collector that have no counterpart here. Asking for one is an error: doing something else than
/// was asked for would be worse.
const UNSUPPORTED: [(&str, &str); 10] = [
    ("rollout_collection_driver", "gym-host has no Python to call; run the driver itself"),
    ("upload_rollouts", "publish the file with `gym-host data push`"),
    ("skills", "leave it out"),
    ("fan_out", "name the agent in each row's `agent_ref`"),
    ("interleave_repeats", "leave it out"),
    ("dispatch_budget_s", "stop the run with SIGTERM when the time is over"),
    ("dispatch_longest_first", "sort the input"),
    ("count_failure_classes_as_zero", "leave it out: faults are no rewards here"),
    ("count_missing_rollouts_as_zero", "leave it out: faults are no rewards here"),
    ("retry_terminal_timeouts", "leave it out"),
];

/// The plan. `input` is the dataset if another one than the options name it.
pub(super) fn plan(
    options: &CollectOptions,
    input: Option<PathBuf>,
    settings: &Settings,
) -> Result<CollectPlan, Failure> {
    let gym = GymOptions(settings);
    for (key, hint) in UNSUPPORTED {
        if gym.value(key)?.is_some_and(|value| !matches!(value, Value::Bool(false))) {
            return Err(Failure::user(format!("gym-host does not have the option `{key}`")).with_hint(hint));
        }
    }
    let path = |own: Option<PathBuf>, key: &str, flag: &str| {
        own.map_or_else(|| Ok(gym.text(key)?.map(PathBuf::from)), |own| Ok(Some(own)))?.ok_or_else(|| {
            Failure::user(format!("neither {flag} nor `{key}` is given")).with_hint(format!("add {flag} FILE"))
        })
    };
    let input = path(input, "input_jsonl_fpath", "--input")?;
    let output = path(options.output.clone(), "output_jsonl_fpath", "--output")?;
    if input == output {
        return Err(Failure::user(format!("{} is both the input and the output", input.display())));
    }
    let shard = match &options.shard {
        Some(text) => Some(Shard::parse(text).ok_or_else(|| {
            Failure::user(format!("`{text}` is no shard")).with_hint("write --shard I/N, from 1/N to N/N")
        })?),
        None => None,
    };
    let max_attempts = match std::env::var("NEMO_GYM_MAX_ROLLOUT_ATTEMPTS") {
        Ok(text) => text.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
            Failure::user(format!("NEMO_GYM_MAX_ROLLOUT_ATTEMPTS is `{text}`, which is no positive number"))
        })?,
        Err(_) => MAX_ATTEMPTS,
    };
    let concurrency = match options.concurrency {
        Some(count) => count as usize,
        None => match gym.count("num_samples_in_parallel")? {
            Some(0) => return Err(Failure::user("`num_samples_in_parallel` is 0, and at least 1 is needed")),
            Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
            None => CONCURRENCY,
        },
    };
    let fresh = options.fresh || gym.flag("resume_from_cache")? == Some(false);
    let aggregate = !options.disable_aggregation && !gym.flag("disable_aggregation")?.unwrap_or_default();
    let seed_repeats = options.seed_repeats || gym.flag("num_repeats_add_seed")?.unwrap_or_default();
    Ok(CollectPlan {
        agent: options.agent.clone().map_or_else(|| gym.text("agent_name"), |name| Ok(Some(name)))?,
        agent_map: texts(&gym, "agent_map")?,
        num_repeats: repeats(options, &gym)?,
        limit: options.limit.map_or_else(|| gym.count("limit"), |limit| Ok(Some(limit)))?,
        shard,
        seed_repeats,
        session_seed: options.seed,
        overrides: overrides(options, &gym)?,
        prompt: prompt(options, settings)?,
        concurrency,
        max_attempts,
        aggregate,
        fresh,
        ..CollectPlan::new(input, output)
    })
}

/// `4`, or `agent=4,_default=1`; in NeMo Gym's configuration a number or a mapping.
fn repeats(options: &CollectOptions, gym: &GymOptions<'_>) -> Result<Repeats, Failure> {
    let wrong = |text: &str| {
        Failure::user(format!("`{text}` is no number of repeats"))
            .with_hint("write a number from 1 on, or one for each agent: `first_agent=4,_default=1`")
    };
    let count = |text: &str| text.trim().parse().ok().filter(|count| (1..=u64::from(u32::MAX)).contains(count));
    if let Some(text) = &options.num_repeats {
        if let Some(count) = count(text) {
            return Ok(Repeats::All(count));
        }
        let pairs = text.split(',').map(|pair| {
            let (name, text) = pair.split_once('=')?;
            Some((name.trim().to_owned(), count(text)?))
        });
        return pairs.collect::<Option<_>>().map(Repeats::ByAgent).ok_or_else(|| wrong(text));
    }
    match gym.value("num_repeats")? {
        None => Ok(Repeats::All(1)),
        Some(Value::Object(counts)) => {
            let counts = counts.iter().map(|(name, value)| Some((name.clone(), count(&value.to_string())?)));
            counts.collect::<Option<_>>().map(Repeats::ByAgent).ok_or_else(|| wrong("num_repeats"))
        }
        Some(value) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            count(&text).map(Repeats::All).ok_or_else(|| wrong(&text))
        }
    }
}

fn overrides(options: &CollectOptions, gym: &GymOptions<'_>) -> Result<BTreeMap<String, Value>, Failure> {
    let mut overrides: BTreeMap<String, Value> = match gym.value("responses_create_params")? {
        None => BTreeMap::new(),
        Some(Value::Object(params)) => params.into_iter().collect(),
        Some(other) => {
            return Err(Failure::user(format!("`responses_create_params` is {other}, and no mapping"))
                .with_hint("write for example `responses_create_params.temperature=0.7`"));
        }
    };
    for (name, value) in [
        ("temperature", options.temperature.map(Value::from)),
        ("top_p", options.top_p.map(Value::from)),
        ("max_output_tokens", options.max_output_tokens.map(Value::from)),
    ] {
        if let Some(value) = value {
            overrides.insert(name.to_owned(), value);
        }
    }
    Ok(overrides)
}

fn prompt(options: &CollectOptions, settings: &Settings) -> Result<Option<Prompt>, Failure> {
    if let Some(path) = &options.prompt_config {
        return prompt_file::read(path).map(Some);
    }
    match GymOptions(settings).value("prompt_config")? {
        None => Ok(None),
        Some(Value::String(path)) => {
            let found = settings.composed().roots().find(&path);
            prompt_file::read(found.as_deref().unwrap_or(Path::new(&path))).map(Some)
        }
        Some(value) => serde_json::from_value(value)
            .map(Some)
            .map_err(|error| Failure::user(format!("`prompt_config` is no prompt template: {error}"))),
    }
}

fn texts(gym: &GymOptions<'_>, key: &str) -> Result<BTreeMap<String, String>, Failure> {
    match gym.value(key)? {
        None => Ok(BTreeMap::new()),
        Some(value) => serde_json::from_value(value)
            .map_err(|error| Failure::user(format!("`{key}` is no mapping of names to names: {error}"))),
    }
}
