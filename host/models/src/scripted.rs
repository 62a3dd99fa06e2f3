// SPDX-License-Identifier: Apache-2.0
//! `scripted_model`: answers from a script or from the recorded attempts of environments, without any network.
//!
//! The answers are complete Response objects and follow from the request, the configuration and the round alone. Token
//! counts are words (runs of characters between white space); `created_at` is a fixed moment, so that two runs give the
//! same bytes.

mod answer;
mod files;
mod inputs;
mod tag;
pub(crate) mod transcript;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Cookie, Model, Reply, RequestContext};
use gym_protocol::script::{ScriptEntry, Turn};
use gym_protocol::{Fault, Members, ModelRequest, Raw, ServerName};

pub use self::files::Plays;
pub(crate) use self::files::find;
pub(crate) use self::inputs::{Inputs, same_item};

use self::answer::{Prepared, PreparedKind};
use self::tag::Tag;
use self::transcript::{Item, after_last_user, progress};
use crate::response::{Answer, Output, Usage, error_body, write_response};
use crate::settings::{ModelError, Settings};

/// `created_at` of every scripted Response: 14 November 2023, 22:13:20 UTC.
pub const CREATED_AT: f64 = 1_700_000_000.0;

/// Characters of the last message that the error for an unexpected request shows.
const SHOWN_CHARACTERS: usize = 80;

/// A model server that plays a script. Keys of its configuration:
///
/// - `script`: a list of [`ScriptEntry`], or the path of a file with such a list or with one entry on each line;
/// - `cases`: one or several paths of an environment's `tests/cases.jsonl`, whose recorded attempts are played to
///   requests that begin with the input of their task;
/// - `plays`: `perfect` (default), `wrong` or `mixed`: which of those attempts;
/// - `delay_ms`: how long every answer takes, besides the delays of the turns;
/// - `seed`: makes the ids of one server different from those of another;
/// - `fallback`: what to say when nothing matches; without it that is an error 400.
pub struct ScriptedModel {
    name: ServerName,
    seed: u64,
    delay_ms: u64,
    inputs: Inputs,
    /// The plans of `inputs` by their number, then those of the script, then the fallback.
    plans: Vec<Plan>,
    /// Number of the first plan of the script.
    script_start: usize,
    cookie: String,
}

/// Attempts that are played in turn.
struct Plan {
    when: When,
    attempts: Vec<Vec<Prepared>>,
    /// How often it has begun to play.
    begun: AtomicU64,
}

/// Which requests a plan answers.
enum When {
    /// Those that begin with a known input.
    Input,
    /// Those with this text in some message.
    Contains(String),
    /// All.
    Always,
}

impl ScriptedModel {
    /// Reads the configuration and the files that it names; relative paths are looked up under `roots`.
    pub fn new(settings: Settings<'_>, roots: &[std::path::PathBuf]) -> Result<Self, ModelError> {
        let server = settings.server();
        let entries = match settings.get("script") {
            None => Vec::new(),
            Some(serde_json::Value::String(path)) => {
                let path = find(path, roots);
                files::read_script(&path).map_err(|problem| files::file_error(server, &path, problem))?
            }
            Some(inline) => serde_json::from_value::<Vec<ScriptEntry>>(inline.clone())
                .map_err(|_| settings.wrong("script", "a path or a list of script entries", inline))?,
        };
        let plays = match settings.text("plays")?.as_deref() {
            None | Some("perfect") => Plays::Perfect,
            Some("wrong") => Plays::Wrong,
            Some("mixed") => Plays::Mixed,
            Some(other) => return Err(settings.wrong("plays", "`perfect`, `wrong` or `mixed`", &other.into())),
        };
        let mut inputs = Inputs::new();
        let mut recorded: Vec<Vec<Vec<Turn>>> = Vec::new();
        for path in settings.texts("cases")? {
            let path = find(&path, roots);
            let attempts =
                files::read_cases(&path, plays).map_err(|problem| files::file_error(server, &path, problem))?;
            for attempt in attempts {
                let (number, new) = inputs.insert(&attempt.input);
                if new {
                    recorded.push(Vec::new());
                }
                recorded[number].push(attempt.turns);
            }
        }
        let mut plans: Vec<Plan> = recorded.iter().map(|attempts| Plan::new(When::Input, attempts)).collect();
        let script_start = plans.len();
        for entry in &entries {
            let when = entry.contains.clone().map_or(When::Always, When::Contains);
            if entry.attempts.is_empty() || entry.attempts.iter().any(Vec::is_empty) {
                let found = settings.get("script").unwrap_or(&serde_json::Value::Null);
                return Err(settings.wrong("script", "a script whose entries have attempts with turns", found));
            }
            plans.push(Plan::new(when, &entry.attempts));
        }
        if let Some(text) = settings.text("fallback")? {
            let turn = Turn { text: Some(text), ..Turn::default() };
            plans.push(Plan::new(When::Always, &[vec![turn]]));
        }
        Ok(Self {
            name: server.clone(),
            seed: settings.count("seed")?.unwrap_or(0),
            delay_ms: settings.count("delay_ms")?.unwrap_or(0),
            inputs,
            plans,
            script_start,
            cookie: format!("ScriptedModel___{server}"),
        })
    }

    /// The plan for a request, and the index of the first item that may be a turn of it.
    fn plan(&self, request: &ModelRequest, items: &[Item<'_>]) -> Option<(usize, usize)> {
        if self.script_start > 0
            && let Some(found) = self.inputs.find(&request.input)
        {
            return Some(found);
        }
        let plans = self.plans.iter().enumerate().skip(self.script_start);
        let number = plans.into_iter().find_map(|(number, plan)| {
            let plays = match &plan.when {
                When::Input => false,
                When::Contains(needle) => items.iter().any(|item| item.message_contains(needle)),
                When::Always => true,
            };
            plays.then_some(number)
        })?;
        Some((number, after_last_user(items)))
    }

    /// What to answer, and the attempt that is being played.
    fn answer(&self, request: &ModelRequest, context: &RequestContext) -> (Reply, u64, Option<Tag>) {
        let items: Vec<_> = request.input.iter().map(Item::read).collect();
        let Some((number, start)) = self.plan(request, &items) else {
            return (nothing_matches(&items), 0, None);
        };
        let plan = &self.plans[number];
        let progress = progress(&items, start);
        let round = |round: u64| (round % plan.attempts.len() as u64) as usize;
        let attempt = match request_seed(&request.params) {
            Some(seed) => seed.rem_euclid(plan.attempts.len() as i128) as usize,
            None if progress.turns == 0 => round(plan.begun.fetch_add(1, Ordering::Relaxed)),
            None => {
                let of_cookie =
                    || context.cookies.get(&self.cookie).and_then(|value| Tag::in_id(&format!("c_{value}")));
                match progress.tag.or_else(of_cookie).filter(|tag| tag.plan == number) {
                    Some(tag) => tag.attempt % plan.attempts.len(),
                    None => round(plan.begun.load(Ordering::Relaxed).saturating_sub(1)),
                }
            }
        };
        let turns = &plan.attempts[attempt];
        let turn = progress.turns.min(turns.len() - 1);
        let prepared = &turns[turn];
        let (pieces, incomplete, words, reasoning_words) = match &prepared.kind {
            PreparedKind::Reply { status, body } => {
                return (Reply::new(*status, body.clone()), prepared.delay_ms, None);
            }
            PreparedKind::Output { pieces, incomplete, words, reasoning_words } => {
                (pieces, incomplete.as_deref(), *words, *reasoning_words)
            }
        };
        let tag = Tag { hash: self.hash(request, attempt, turn), plan: number, attempt, turn };
        let tag_text = tag.to_string();
        let read = items.iter().map(Item::words).sum::<u64>();
        let body = write_response(
            &request.params,
            &Answer {
                id: &format!("resp_{tag_text}"),
                created_at: CREATED_AT,
                model: request.params.get_set("model").cloned().unwrap_or_else(|| Raw::from_value(&self.name)),
                output: Output::Text(&Prepared::output_text(pieces, &tag_text)),
                incomplete,
                native_finish_reason: None,
                usage: Some(
                    Usage {
                        input: read,
                        cached: Some(0),
                        output: words,
                        reasoning: Some(reasoning_words),
                        total: read + words,
                    }
                    .to_raw(),
                ),
            },
        );
        (Reply::ok(body.bytes().clone()), prepared.delay_ms, Some(tag))
    }

    /// A hash of all that an answer follows from, the number of the round included.
    fn hash(&self, request: &ModelRequest, attempt: usize, turn: usize) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&(attempt as u64).to_le_bytes());
        hasher.update(&(turn as u64).to_le_bytes());
        for item in &request.input {
            hasher.update(item.bytes());
        }
        for (name, value) in request.params.iter() {
            hasher.update(name.as_bytes());
            hasher.update(value.bytes());
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}

impl Plan {
    fn new(when: When, attempts: &[Vec<Turn>]) -> Self {
        let attempts = attempts.iter().map(|turns| turns.iter().map(Prepared::new).collect()).collect();
        Self { when, attempts, begun: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Model for ScriptedModel {
    fn name(&self) -> &ServerName {
        &self.name
    }

    async fn respond(&self, request: ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault> {
        let (reply, delay_ms, tag) = self.answer(&request, context);
        if let Some(tag) = tag {
            context.cookies.set(Cookie { name: self.cookie.clone(), value: tag.to_string() });
        }
        let delay = self.delay_ms.saturating_add(delay_ms);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        Ok(reply)
    }

    async fn chat(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        crate::chat::serve::through_responses(self, body, context).await
    }

    async fn messages(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        crate::messages::through_responses_with_options(self, body, context).await
    }
}

/// `seed` in the JSON text `metadata.extra_body`: how a seed for one rollout travels.
fn request_seed(params: &Members) -> Option<i128> {
    let metadata = params.get_set("metadata")?.members().ok()?;
    let extra: String = metadata.get_set("extra_body")?.read().ok()?;
    let extra: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&extra).ok()?;
    match extra.get("seed")? {
        serde_json::Value::Number(seed) => seed.as_i64().map(i128::from).or_else(|| seed.as_u64().map(i128::from)),
        _ => None,
    }
}

fn nothing_matches(items: &[Item<'_>]) -> Reply {
    let last = items.iter().rev().find_map(Item::last_text).unwrap_or_default();
    let shown: String = last.chars().take(SHOWN_CHARACTERS).collect();
    let message = format!("no entry of the script matches this request, whose last message begins with `{shown}`");
    Reply::new(400, error_body(&message, "invalid_request_error", Some("no_scripted_answer")).bytes().clone())
}

#[cfg(test)]
mod tests;
