// SPDX-License-Identifier: Apache-2.0
//! Asking whether two answers to a question are the same.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Exchange, Issue, Judge, Labels, Message, Reading, Template, answer};
use crate::{context::Context, failure::Fault};

/// How a judge is asked about two answers.
#[derive(Clone, Debug)]
pub struct Equivalence<'a> {
    /// Who is asked.
    pub judge: &'a Judge,
    /// System message before the question; none if it is empty.
    pub system: Option<&'a str>,
    /// The question, with the places [`PLACES`](Equivalence::PLACES).
    pub template: &'a Template,
    /// How the verdict is written.
    pub labels: &'a Labels,
    /// Which verdict counts.
    pub reading: Reading,
}

/// What a judge was asked about two answers, and what it found.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Request and answer.
    pub exchange: Exchange,
    /// The label that counts.
    pub verdict_label: Option<String>,
    /// Whether the answers are equal.
    pub equal: bool,
    /// What is odd about the judge's answer.
    pub issues: Vec<Issue>,
}

impl Equivalence<'_> {
    /// The places that a template may have.
    pub const PLACES: [&'static str; 3] = ["question", "expected_answer", "generated_answer"];

    /// Asks whether an answer is the same as the expected one. A call that fails is a fault of the judge.
    pub fn compare(
        &self,
        cx: &mut Context,
        question: &str,
        expected: &str,
        generated: &str,
    ) -> Result<Evaluation, Fault> {
        let values = [question, expected, generated];
        let [question, expected, generated] = std::array::from_fn(|index| (Self::PLACES[index], values[index]));
        let system = self.system.filter(|system| !system.is_empty()).map(Message::system);
        let prompt = Message::user(self.template.render(&[question, expected, generated]));
        let exchange = self.judge.ask(cx, system.into_iter().chain([prompt]).collect())?;
        let verdict = self.labels.read(&exchange, self.reading);
        Ok(Evaluation { exchange, verdict_label: verdict.label, equal: verdict.equal, issues: verdict.issues })
    }

    /// Asks with the answers exchanged: a judge that prefers one of the places then says something else.
    pub fn compare_swapped(
        &self,
        cx: &mut Context,
        question: &str,
        expected: &str,
        generated: &str,
    ) -> Result<Evaluation, Fault> {
        self.compare(cx, question, generated, expected)
    }
}

/// As in NeMo Gym's `judge_evaluations`: `responses_create_params` (all of them, also those that were not sent), `response`
/// (as the judge sent it), `verdict_label`, and `judgement_parsing_issues` if there are any.
impl Serialize for Evaluation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("responses_create_params", &answer::all_params(&self.exchange.request))?;
        map.serialize_entry("response", &self.exchange.response_value())?;
        map.serialize_entry("verdict_label", &self.verdict_label)?;
        if !self.issues.is_empty() {
            map.serialize_entry("judgement_parsing_issues", &self.issues)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Response;

    fn ask(system: Option<&str>, answers: &[&str], swapped: bool) -> (Vec<Value>, Result<Evaluation, Fault>) {
        let judge: Judge = serde_json::from_value(json!({
            "judge_model_server": {"name": "judge"},
            "judge_responses_create_params": {"input": []},
        }))
        .unwrap();
        let template =
            Template::parse("{question}: {expected_answer} | {generated_answer}", &Equivalence::PLACES).unwrap();
        let labels = Labels::new("YES", "NO");
        let answers = answers.iter().map(|text| Ok(Response::builder().message(*text).build()));
        let test = Context::for_test().model("judge", answers);
        let equivalence =
            Equivalence { judge: &judge, system, template: &template, labels: &labels, reading: Reading::Last };
        let mut cx = test.build();
        let evaluation = if swapped {
            equivalence.compare_swapped(&mut cx, "q", "gold", "said")
        } else {
            equivalence.compare(&mut cx, "q", "gold", "said")
        };
        (test.requests("judge"), evaluation)
    }

    #[test]
    fn the_judge_reads_both_answers_in_either_order() {
        let (requests, evaluation) = ask(Some("Judge."), &["YES"], false);
        assert_eq!(
            requests[0]["input"],
            json!([
                {"role": "system", "content": "Judge."},
                {"role": "user", "content": "q: gold | said"},
            ])
        );
        assert!(evaluation.unwrap().equal);
        let (requests, evaluation) = ask(Some(""), &["NO"], true);
        assert_eq!(requests[0]["input"], json!([{"role": "user", "content": "q: said | gold"}]));
        assert!(!evaluation.unwrap().equal);
        assert!(ask(None, &[], false).1.unwrap_err().is_judge_failure());
    }

    #[test]
    fn an_evaluation_is_told_with_request_and_answer() {
        let told = serde_json::to_value(ask(None, &["well"], false).1.unwrap()).unwrap();
        assert_eq!(told["verdict_label"], Value::Null);
        assert_eq!(told["judgement_parsing_issues"], json!(["no_verdict"]));
        assert_eq!(told["response"]["output"][0]["content"][0]["text"], "well");
        let input = json!([{"content": "q: gold | said", "role": "user", "type": "message"}]);
        assert_eq!(told["responses_create_params"]["input"], input);
        assert_eq!(told["responses_create_params"]["tool_choice"], "auto");
        let clear = serde_json::to_value(ask(None, &["YES"], false).1.unwrap()).unwrap();
        assert_eq!(clear.get("judgement_parsing_issues"), None);
    }
}
