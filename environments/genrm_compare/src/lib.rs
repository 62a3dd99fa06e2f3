// SPDX-License-Identifier: Apache-2.0
//! Several responses to one prompt, compared in pairs by a generative reward model. See the README for the reward rule.

use std::time::Duration;

use gym_env::{
    AnyJson, Attempt, Context, Description, Failure, Fault, ModelFailure, Refuse, Response, Schema, SchemaStyle,
    Verdict,
    judge::{Message, failed},
    python, resources_server,
    text::strip,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

mod config;
mod judgement;
mod responses;
mod scores;

use config::Config;
use judgement::Judgement;
use responses::Texts;

/// The environment keeps nothing between calls: the host brings the members of a group together.
#[derive(Debug)]
pub struct GenrmCompare;

/// What grading needs of a row. Whatever else is in it is passed over.
#[derive(Debug, Default, Deserialize, Schema)]
#[allow(dead_code, reason = "the host reads the fields that tell which group an attempt belongs to")]
struct Task {
    /// What the judge should look at.
    principle: Option<String>,
    /// Texts of other responses: the attempt is compared with these at once, and is no member of a group.
    reference_responses: Option<Vec<String>>,
    /// Number of the task, where groups have no name.
    _ng_task_index: Option<i64>,
    /// Name of the prompt, where groups have no name and tasks no number.
    prompt_id: Option<String>,
    /// Name of the group.
    _ng_group_id: Option<String>,
    /// Which attempt at the group it is.
    #[serde(default)]
    _ng_group_attempt: u64,
    /// Place in the group.
    _ng_rollout_index: Option<i64>,
}

/// All members of a group, as the host sends them.
#[derive(Debug, Default, Deserialize)]
struct Group {
    #[serde(default)]
    group: Vec<AnyJson>,
}

/// What `/compare` is asked.
#[derive(Debug, Deserialize)]
struct Comparison {
    conversation_history: Vec<Turn>,
    response_objs: Vec<AnyJson>,
    #[serde(default)]
    principle: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Turn {
    #[serde(default = "user")]
    role: String,
    #[serde(default)]
    content: String,
}

fn user() -> String {
    "user".to_owned()
}

/// What `/compare` answers.
#[derive(Debug, Serialize)]
struct Compared {
    rewards: Vec<f64>,
    comparison_results: Option<Vec<Value>>,
    metrics: Option<Value>,
}

#[resources_server(reusable, reverify = "unsupported", config = Config)]
impl GenrmCompare {
    #[describe]
    fn describe(description: &mut Description, cx: &mut Context) -> Result<(), Fault> {
        let config = cx.config::<Config>()?;
        config.check()?;
        description.verify_fields = Task::schema(SchemaStyle::Row);
        if let Some(group) = config.group() {
            description.verify_fields["x-gym-group"] = group;
        }
        Ok(())
    }

    /// `POST /compare`: a whole group at once.
    #[any_tool]
    fn compare(name: &str, arguments: AnyJson, cx: &mut Context) -> Result<Compared, Failure> {
        if name != "compare" {
            return Err(Refuse::not_found().into());
        }
        let config = cx.config::<Config>()?;
        let unfit = |error: serde_json::Error| {
            Refuse::new(422, json!([{"type": "value_error", "loc": ["body"], "msg": error.to_string()}]))
        };
        let asked: Comparison = arguments.read().map_err(unfit)?;
        if let Some(index) = asked.response_objs.iter().position(|response| !response.text().starts_with('{')) {
            let text = "Input should be a valid dictionary";
            let detail = json!([{"type": "dict_type", "loc": ["body", "response_objs", index], "msg": text}]);
            return Err(Refuse::new(422, detail).into());
        }
        let messages =
            asked.conversation_history.into_iter().map(|turn| Message::new(turn.role, turn.content)).collect();
        let texts = asked.response_objs.iter().map(|response| Texts::of(&Response::new(response.text()))).collect();
        let judging = Judging { config: &config, messages, texts, principle: asked.principle };
        let group = judging.judge(cx).map_err(|fault| match fault.is_judge_failure() {
            true => Failure::from(Refuse::new(503, fault.message())),
            false => fault.into(),
        })?;
        let (judged, rewards) = (&group.judged, group.rewards);
        let results = judged.iter().map(|compared| {
            json!({
                "response_i": compared.pair.0, "response_j": compared.pair.1, "judge_idx": compared.round,
                "score_1": compared.judgement.score_1, "score_2": compared.judgement.score_2,
                "ranking": compared.judgement.ranking,
            })
        });
        let some = |value: Value| (!judged.is_empty()).then_some(value);
        Ok(Compared {
            rewards,
            comparison_results: (!judged.is_empty()).then(|| results.collect()),
            metrics: some(metrics(judged)),
        })
    }

    #[verify]
    fn verify(attempt: &Attempt<Value>, cx: &mut Context) -> Result<Verdict, Failure> {
        let config = cx.config::<Config>()?;
        let members = match config.group() {
            Some(_) => serde_json::from_value::<Group>(attempt.task.clone())?.group,
            None => Vec::new(),
        };
        if members.is_empty() {
            return alone(attempt, &config, cx);
        }
        let members: Vec<Attempt<Task>> =
            members.iter().map(|member| Attempt::parse(member.text())).collect::<Result<_, _>>()?;
        let judging = Judging {
            config: &config,
            messages: responses::conversation(members[0].param("input")),
            texts: members.iter().map(|member| Texts::of(&member.response)).collect(),
            principle: members[0].task.principle.clone(),
        };
        let group = judging.judge(cx)?;
        let told: Vec<Value> = members
            .iter()
            .zip(group.rewards.iter().zip(&group.scores))
            .map(|(member, (reward, score))| {
                json!({
                    "reward": reward, "score": score, "_ng_group_id": member.task._ng_group_id,
                    "_ng_group_attempt": member.task._ng_group_attempt,
                    "_ng_rollout_index": member.task._ng_rollout_index,
                })
            })
            .collect();
        Ok(Verdict::new(0.0).field("group", told))
    }
}

/// An attempt without a group: it is compared with the row's other responses, if there are some.
fn alone(attempt: &Attempt<Value>, config: &Config, cx: &mut Context) -> Result<Verdict, Failure> {
    let task: Task = serde_json::from_value(attempt.task.clone())?;
    let references = task.reference_responses.unwrap_or_default();
    if references.is_empty() {
        return Ok(Verdict::new(config.default_score).field("score", config.default_score));
    }
    let others = references.into_iter().map(|answer| Texts { reasoning: String::new(), answer });
    let judging = Judging {
        config,
        messages: responses::conversation(attempt.param("input")),
        texts: [Texts::of(&attempt.response)].into_iter().chain(others).collect(),
        principle: task.principle,
    };
    let group = judging.judge(cx)?;
    Ok(Verdict::new(group.rewards[0]).field("score", group.scores[0]))
}

/// A group on its way to rewards.
struct Judging<'a> {
    config: &'a Config,
    messages: Vec<Message>,
    texts: Vec<Texts>,
    principle: Option<String>,
}

/// One comparison that was made.
struct Made {
    pair: (usize, usize),
    round: usize,
    judgement: Judgement,
}

/// A group that was judged.
struct Judged {
    judged: Vec<Made>,
    scores: Vec<f64>,
    rewards: Vec<f64>,
}

impl Judging<'_> {
    fn judge(&self, cx: &mut Context) -> Result<Judged, Fault> {
        let config = self.config;
        let pairs = scores::pairs(config.comparison_strategy, self.texts.len());
        let mut judged = Vec::with_capacity(pairs.len() * config.num_judges_per_comparison);
        for round in 0..config.num_judges_per_comparison {
            judged.extend(pairs.iter().map(|pair| Made { pair: *pair, round, judgement: Judgement::neutral(config) }));
        }
        self.compare(&mut judged, cx)?;
        let plain: Vec<_> = judged.iter().map(|made| (made.pair, made.judgement)).collect();
        let config::Aggregator::SimpleTiebreaker = config.aggregator_method;
        let mut scores = scores::means(&plain, self.texts.len(), config);
        scores::adjust(&mut scores, &self.texts, config);
        let rewards = scores::normalized(&scores, config.score_normalization);
        if config.debug_logging {
            cx.info(format!("scores {scores:?}, rewards {rewards:?}"));
        }
        Ok(Judged { judged, scores, rewards })
    }

    /// Asks the judge about all pairs at once, and again about those of which it says nothing legible. A judge that never
    /// gives a finished answer is at fault; one whose answers are not legible leaves the neutral judgement.
    fn compare(&self, made: &mut [Made], cx: &mut Context) -> Result<(), Fault> {
        let config = self.config;
        let server = config.judge()?;
        let mut answered = vec![false; made.len()];
        let mut open: Vec<usize> = (0..made.len()).collect();
        for again in (0..=config.genrm_parse_retries).rev() {
            if open.is_empty() {
                return Ok(());
            }
            let requests: Vec<_> = open.iter().map(|at| self.request(made[*at].pair)).collect();
            let is_first = again == config.genrm_parse_retries;
            let pause = if is_first { Duration::ZERO } else { config.pause() };
            let responses = cx.respond_all(server, &requests, pause);
            let mut unread = Vec::new();
            for (at, response) in open.into_iter().zip(responses) {
                match response {
                    Ok(response) => {
                        let answer = Texts::of(&response).answer;
                        let is_finished = is_completed(&response) && !strip(&answer).is_empty();
                        answered[at] |= is_finished;
                        match Judgement::read(&answer, config).filter(|_| is_finished) {
                            Some(judgement) => made[at].judgement = judgement,
                            None => unread.push(at),
                        }
                    }
                    // Something that is no Response is an answer without anything legible.
                    Err(ModelFailure::Unreadable(_)) => unread.push(at),
                    Err(failure) if again > 0 && is_passing(&failure) => unread.push(at),
                    Err(failure) => return Err(failed(server, &failure)),
                }
            }
            open = unread;
        }
        if open.iter().any(|at| !answered[*at]) {
            let text =
                format!("the judge `{server}` gave no finished answer in {} tries", config.genrm_parse_retries + 1);
            return Err(Fault::judge_failed(text));
        }
        for (one, other) in open.iter().map(|at| made[*at].pair) {
            cx.warn(format!("the judge `{server}` said nothing legible of the responses {one} and {other}"));
        }
        Ok(())
    }

    /// What the judge is asked about a pair.
    fn request(&self, (one, other): (usize, usize)) -> Map<String, Value> {
        let config = self.config;
        let mut metadata = json!({"response_1": self.texts[one].shown(), "response_2": self.texts[other].shown()});
        if config.use_principle {
            let own = self.principle.as_deref().filter(|principle| !principle.is_empty());
            metadata["principle"] = own.unwrap_or(&config.default_principle).into();
        }
        let mut request = config.genrm_responses_create_params.clone();
        let messages: Vec<_> = self.messages.iter().cloned().map(Message::with_type).collect();
        request.insert("input".to_owned(), json!(messages));
        request.insert("metadata".to_owned(), metadata);
        request
    }
}

/// Whether an answer says that it is finished, or nothing of it.
fn is_completed(response: &Response) -> bool {
    let status = response.member("status").and_then(|status| python::loads(status).ok());
    status.is_none_or(|status| !status.is_truthy() || status.as_text() == Some("completed"))
}

/// Whether asking again may help.
fn is_passing(failure: &ModelFailure) -> bool {
    match failure {
        ModelFailure::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
        // The host names the setting whose time is up. Another try would take as long.
        ModelFailure::Unavailable(reason) => !reason.ends_with("(`judge_request_timeout_s`)"),
        ModelFailure::Unreadable(_) | ModelFailure::UnknownServer(_) => false,
    }
}

/// Of all scores that judges gave.
fn metrics(judged: &[Made]) -> Value {
    let all: Vec<f64> = judged.iter().flat_map(|made| [made.judgement.score_1, made.judgement.score_2]).collect();
    let mean = scores::sum(&all) / all.len().max(1) as f64;
    let squares: Vec<f64> = all.iter().map(|score| (score - mean).powi(2)).collect();
    let variance = scores::sum(&squares) / all.len().max(1) as f64;
    let ties = judged.iter().filter(|made| scores::is_tie(&made.judgement)).count();
    json!({
        "mean_individual_score": mean,
        "std_individual_score": variance.sqrt(),
        "tiebreak_usage_rate": ties as f64 / judged.len().max(1) as f64,
    })
}

#[cfg(test)]
mod tests;
