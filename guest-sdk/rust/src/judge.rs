// SPDX-License-Identifier: Apache-2.0
//! Asking a model for a verdict: what graders with a judge share.
//!
//! A call that fails (no answer, an HTTP error, a reply that is no finished, valid Response) is a fault of the judge: the row
//! is marked, left out of the metrics and may be graded again. It is never a reward of 0. A reply *without* a verdict is
//! an answer all the same; what it counts as is the environment's to say.
//!
//! ```
//! use gym_env::{Context, Response, judge::{Judge, Labels, Message, Reading}};
//! use serde_json::json;
//!
//! let test = Context::for_test().model("judge", [Ok(Response::builder().message("Same. [[A=B]]").build())]);
//! let judge: Judge = serde_json::from_value(json!({
//!     "judge_model_server": {"type": "responses_api_models", "name": "judge"},
//!     "judge_responses_create_params": {"input": [], "temperature": 0.0},
//! })).unwrap();
//! let exchange = judge.ask(&mut test.build(), vec![Message::user("Are they equal?")]).unwrap();
//! let labels = Labels::new("[[A=B]]", "[[A!=B]]");
//! assert_eq!(labels.read(&exchange, Reading::Last).label.as_deref(), Some("[[A=B]]"));
//! assert_eq!(test.requests("judge")[0]["temperature"], 0.0);
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    context::Context,
    failure::{Fault, ModelFailure},
    response::{Content, ItemKind, Response},
};

mod answer;
mod equivalence;
mod template;
mod verdict;

pub use equivalence::{Equivalence, Evaluation};
pub use template::Template;
pub use verdict::{Issue, Labels, Reading, Verdict};

/// So much of an HTTP error's body is told.
const SHOWN_CHARACTERS: usize = 500;

/// A reference to a model server in a configuration: `{type: responses_api_models, name: judge_model}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ModelServer {
    /// Name of the server.
    pub name: String,
    /// What it is; the host has looked at it.
    #[serde(rename = "type", default)]
    _kind: Option<String>,
}

/// Who is asked, and with which parameters. Read from the settings of the same names.
#[derive(Clone, Debug, Deserialize)]
pub struct Judge {
    /// The model server.
    #[serde(rename = "judge_model_server")]
    pub server: ModelServer,
    /// Parameters of every request; what they say of `input` gives way to the messages.
    #[serde(rename = "judge_responses_create_params")]
    pub params: Map<String, Value>,
}

/// One message to a judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who speaks.
    pub role: String,
    /// What is said.
    pub content: String,
    /// `message`, if it is written out.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
}

impl Message {
    /// A message of any role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), kind: None }
    }

    /// The same with its type, `message`, written out.
    #[must_use]
    pub fn with_type(self) -> Self {
        Self { kind: Some("message"), ..self }
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// A system message.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new("system", content)
    }
}

/// What a judge was asked, and what it answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request as it was sent.
    pub request: Map<String, Value>,
    /// The answer.
    pub response: Response,
}

impl Judge {
    /// Asks. A call that fails is a fault of the judge.
    pub fn ask(&self, cx: &mut Context, messages: Vec<Message>) -> Result<Exchange, Fault> {
        let mut request = self.params.clone();
        request.insert("input".to_owned(), json!(messages));
        let response =
            cx.respond(&self.server.name, &request).map_err(|failure| failed(&self.server.name, &failure))?;
        let exchange = Exchange { request, response };
        let flaw =
            || Some(format!("answered with something that is not a Response: {}", answer::flaw(&exchange.response)?));
        match exchange.why_unfinished().or_else(flaw) {
            None => Ok(exchange),
            Some(reason) => Err(Fault::judge_failed(format!("the judge `{}` {reason}", self.server.name))),
        }
    }
}

/// The fault of a call that failed, with the beginning of the body of an HTTP error.
pub fn failed(server: &str, failure: &ModelFailure) -> Fault {
    let mut message = format!("failed to ask the judge `{server}`: {failure}");
    if let ModelFailure::Status { body, .. } = failure
        && !body.is_empty()
    {
        message.push_str(": ");
        message.extend(body.chars().take(SHOWN_CHARACTERS));
    }
    Fault::judge_failed(message)
}

impl Exchange {
    /// The status of the answer, where it says one.
    pub fn status(&self) -> Option<String> {
        crate::json::read_string(self.response.member("status")?).map(Into::into)
    }

    /// Whether the answer was cut off.
    pub fn is_incomplete(&self) -> bool {
        self.status().as_deref() == Some("incomplete")
    }

    /// Why the answer is none although the model server sent one.
    fn why_unfinished(&self) -> Option<String> {
        match self.status().as_deref() {
            Some(status @ ("failed" | "cancelled" | "queued" | "in_progress")) => {
                Some(format!("answered with the status `{status}`"))
            }
            _ => None,
        }
    }

    /// The text in which verdicts stand: the last part of the last output item, if that is a message. A part that is no
    /// output text, for example a refusal, is an empty text, and so is a message that is plain text.
    pub fn verdict_text(&self) -> Option<String> {
        let last = self.response.output().next_back()?;
        if last.kind() != ItemKind::Message {
            return None;
        }
        match last.content() {
            Content::Parts(parts) => Some(parts.last()?.output_text().unwrap_or_default().to_owned()),
            Content::Text(text) if !text.is_empty() => Some(String::new()),
            Content::Text(_) | Content::Missing => None,
        }
    }

    /// The answer as a JSON value for a reply; null if it is nested too deeply to be one.
    pub fn response_value(&self) -> Value {
        serde_json::from_str(self.response.json()).unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge() -> Judge {
        serde_json::from_value(json!({
            "judge_model_server": {"type": "responses_api_models", "name": "judge"},
            "judge_responses_create_params": {"input": ["unused"], "temperature": 0.0, "max_output_tokens": 64},
        }))
        .unwrap()
    }

    #[test]
    fn the_request_has_the_parameters_and_the_messages() {
        let test = Context::for_test().model("judge", [Ok(Response::builder().message("yes").build())]);
        let exchange = judge().ask(&mut test.build(), vec![Message::system("Judge."), Message::user("?")]).unwrap();
        let request = json!({
            "input": [
                {"role": "system", "content": "Judge."},
                {"role": "user", "content": "?"},
            ],
            "temperature": 0.0,
            "max_output_tokens": 64,
        });
        assert_eq!(test.requests("judge"), std::slice::from_ref(&request));
        assert_eq!(Value::Object(exchange.request.clone()), request);
        assert_eq!(exchange.verdict_text().as_deref(), Some("yes"));
    }

    #[test]
    fn a_failed_call_is_the_judges_fault() {
        let status = |status, body: &str| Err(ModelFailure::Status { status, body: body.to_owned() });
        for (answer, text) in [
            (
                status(503, "busy"),
                "failed to ask the judge `judge`: the model server answered with HTTP status 503: busy",
            ),
            (status(500, ""), "failed to ask the judge `judge`: the model server answered with HTTP status 500"),
            (
                Ok(Response::new("[]")),
                "failed to ask the judge `judge`: the model server's answer is not a Response: it has no list `output`",
            ),
            (
                Ok(Response::new(r#"{"status":"failed","output":[]}"#)),
                "the judge `judge` answered with the status `failed`",
            ),
        ] {
            let test = Context::for_test().model("judge", [answer]);
            let fault = judge().ask(&mut test.build(), vec![Message::user("?")]).unwrap_err();
            assert!(fault.is_judge_failure());
            assert_eq!(fault.message(), text);
        }
        let mut nobody = Context::for_test().build();
        assert!(judge().ask(&mut nobody, Vec::new()).unwrap_err().is_judge_failure());
    }

    #[test]
    fn a_long_error_is_cut() {
        let body = "ä".repeat(10_000);
        let fault = failed("judge", &ModelFailure::Status { status: 500, body });
        assert!(fault.message().chars().count() < 600);
    }

    #[test]
    fn verdicts_stand_in_the_last_part_of_the_last_message() {
        let text = |response: Value| {
            let response = Response::new(json!({ "output": response }).to_string());
            Exchange { request: Map::new(), response }.verdict_text()
        };
        let message = |parts: Value| json!({"type": "message", "role": "assistant", "content": parts});
        let part = |text: &str| json!({"type": "output_text", "text": text});
        for (output, expected) in [
            (json!([message(json!([part("a"), part("b")]))]), Some("b")),
            (json!([message(json!([part("a")])), {"type": "reasoning"}]), None),
            (json!([{"type": "reasoning"}, message(json!([part("a")]))]), Some("a")),
            (json!([message(json!([part("a"), {"type": "refusal", "refusal": "no"}]))]), Some("")),
            (json!([message(json!([]))]), None),
            (json!([message(json!([{"type": "input_text", "text": "a"}]))]), Some("")),
            (json!([message(json!("a"))]), Some("")),
            (json!([message(json!(""))]), None),
            (json!([]), None),
        ] {
            assert_eq!(text(output.clone()).as_deref(), expected, "{output}");
        }
    }
}
