// SPDX-License-Identifier: Apache-2.0
use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use gym_protocol::{
    Fault, FaultKind, ServerName,
    environment::{CallError, Description, Lifetime, Observation, StepOutcome, Verdict},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::super::{
    ResourcesService,
    tests::fake::{Client, attempt, description},
};
use crate::{CookieKeys, Environment, Instance, InstanceFor, SessionOptions};

/// Gives each member its place as a reward, and goes wrong in ways that the first member names.
struct Grader {
    description: Description,
    calls: Arc<Mutex<Vec<Value>>>,
}

struct Grading(Arc<Mutex<Vec<Value>>>);

#[async_trait]
impl Environment for Grader {
    fn description(&self) -> &Description {
        &self.description
    }

    fn digest(&self) -> &str {
        "00"
    }

    async fn instance(&self, _purpose: InstanceFor) -> Result<Box<dyn Instance>, Fault> {
        Ok(Box::new(Grading(self.calls.clone())))
    }
}

#[async_trait]
impl Instance for Grading {
    fn is_usable(&self) -> bool {
        true
    }

    async fn seed_session(&mut self, _request: &str) -> Result<String, CallError> {
        Ok("{}".to_owned())
    }

    async fn call_tool(&mut self, _name: &str, _arguments: &str) -> Result<String, CallError> {
        Ok("{}".to_owned())
    }

    async fn verify(&mut self, request: &str) -> Result<Verdict, CallError> {
        let request: Value = serde_json::from_str(request).unwrap();
        let members = request["group"].as_array().cloned().unwrap_or_default();
        self.0.lock().push(request.clone());
        match request["principle"].as_str() {
            Some("judge") => return Err(CallError::Fault(Fault::new(FaultKind::JudgeFailed, "the judge is gone"))),
            Some("slow") => tokio::time::sleep(Duration::from_secs(100)).await,
            _ => {}
        }
        let mut group: Vec<Value> = (0..members.len()).map(|place| json!({"reward": place, "place": place})).collect();
        if request["principle"] == "few" {
            group.pop();
        }
        Ok(Verdict { reward: 0.0, components: Vec::new(), fields: json!({"group": group}).to_string() })
    }

    async fn reset(&mut self, _request: &str) -> Result<Observation, CallError> {
        unreachable!("it has tools")
    }

    async fn step(&mut self, _request: &str) -> Result<StepOutcome, CallError> {
        unreachable!("it has tools")
    }

    async fn close(&mut self) -> Result<(), CallError> {
        Ok(())
    }

    async fn aggregate_metrics(&mut self, _request: &str) -> Result<String, CallError> {
        Ok("{}".to_owned())
    }
}

struct Site {
    service: ResourcesService,
    calls: Arc<Mutex<Vec<Value>>>,
}

fn site(options: Value) -> Site {
    let mut group = json!({"size": 3, "collect_seconds": 60.0, "evaluate_seconds": 30.0, "keep_seconds": 600.0, "keep": 2,
        "same": ["principle"]});
    group.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let field = |kind: &str| json!({"type": [kind, "null"]});
    let verify_fields = json!({"type": "object", "x-gym-group": group, "properties": {
        "principle": field("string"), "_ng_group_id": field("string"), "_ng_group_attempt": field("integer"),
        "_ng_rollout_index": field("integer"), "_ng_task_index": field("integer")}});
    let description = Description {
        verify_fields: verify_fields.to_string(),
        echo: vec!["_ng_rollout_index".to_owned()],
        verify_runs_in: Lifetime::Pooled,
        ..description()
    };
    let calls = Arc::default();
    let grader = Arc::new(Grader { description, calls: Arc::clone(&calls) });
    let name = ServerName::new("c").unwrap();
    let keys = CookieKeys::new([7; 32]);
    Site { service: ResourcesService::new(name, grader, SessionOptions::default(), &keys).unwrap(), calls }
}

impl Site {
    /// Sends one member: status and reply.
    async fn send(&self, fields: Value, text: &str) -> (u16, Value) {
        let mut body = attempt(fields);
        body["response"]["id"] = text.into();
        let (status, reply) = Client::new(self.service.clone()).post("/verify", body).await;
        (status, serde_json::from_str(&reply).unwrap())
    }

    /// Sends the three members of a group at once.
    async fn group(&self, fields: Value) -> Vec<(u16, Value)> {
        let member = |index: usize| {
            let mut fields = fields.clone();
            fields["_ng_rollout_index"] = json!(index);
            async move { self.send(fields, &format!("response {index}")).await }
        };
        // The last one first: places do not follow from the order of arrival.
        let (two, one, zero) = tokio::join!(member(2), member(1), member(0));
        vec![zero, one, two]
    }
}

fn rewards(replies: &[(u16, Value)]) -> Vec<Option<f64>> {
    let reward = |(status, reply): &(u16, Value)| {
        let measured = *status == 200 && reply["mask_sample"] == false;
        reply["reward"].as_f64().filter(|_| measured)
    };
    replies.iter().map(reward).collect()
}

#[tokio::test(start_paused = true)]
async fn members_wait_for_each_other_and_each_gets_its_own_reward() {
    let site = site(json!({}));
    let replies = site.group(json!({"_ng_group_id": "g", "principle": "p"})).await;
    assert_eq!(rewards(&replies), [Some(0.0), Some(1.0), Some(2.0)]);
    assert_eq!((&replies[2].1["place"], &replies[2].1["_ng_rollout_index"]), (&json!(2), &json!(2)));
    assert_eq!(replies[2].1["response"]["id"], "response 2");
    let calls = site.calls.lock();
    let ids: Vec<&Value> =
        calls[0]["group"].as_array().unwrap().iter().map(|member| &member["response"]["id"]).collect();
    assert_eq!(ids, ["response 0", "response 1", "response 2"]);
    assert_eq!(calls.len(), 1, "the environment is asked once");
}

#[tokio::test(start_paused = true)]
async fn a_named_group_answers_again_and_takes_no_other_response() {
    let site = site(json!({}));
    let fields = json!({"_ng_group_id": "g", "_ng_rollout_index": 1});
    site.group(json!({"_ng_group_id": "g"})).await;
    assert_eq!(site.send(fields.clone(), "response 1").await.1["reward"], 1.0);
    assert_eq!(site.send(fields.clone(), "another").await.0, 409);
    assert_eq!(site.calls.lock().len(), 1);
    let mut other = fields;
    other["principle"] = json!("p");
    assert_eq!(site.send(other, "response 1").await.0, 409, "another principle");
}

#[tokio::test(start_paused = true)]
async fn a_newer_attempt_takes_the_place_of_an_older_one() {
    let site = site(json!({}));
    let old = site.send(json!({"_ng_group_id": "g", "_ng_rollout_index": 0}), "response 0");
    let new = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        site.group(json!({"_ng_group_id": "g", "_ng_group_attempt": 1})).await
    };
    let (old, new) = tokio::join!(old, new);
    assert_eq!(old.0, 503);
    assert!(old.1["detail"].as_str().unwrap().contains("superseded by attempt 1"));
    assert_eq!(rewards(&new), [Some(0.0), Some(1.0), Some(2.0)]);
    assert_eq!(site.send(json!({"_ng_group_id": "g", "_ng_rollout_index": 0}), "response 0").await.0, 409);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_stays_incomplete_fails_after_its_time() {
    let site = site(json!({}));
    let began = tokio::time::Instant::now();
    let member = |index: usize| site.send(json!({"_ng_task_index": 4, "_ng_rollout_index": index}), "r");
    let (zero, one) = tokio::join!(member(0), member(1));
    assert_eq!(began.elapsed().as_secs(), 60);
    for (status, reply) in [zero, one] {
        assert_eq!(status, 503);
        let detail = reply["detail"].as_str().unwrap();
        assert!(detail.starts_with("only 2 of the 3 members of the group arrived within 60 s"), "{detail}");
        assert!(detail.contains("new `_ng_group_id`"), "{detail}");
    }
    assert_eq!(member(2).await.0, 503, "late members learn that it failed");
    assert!(site.calls.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_judge_are_masked_rows_for_every_member() {
    let site = site(json!({}));
    for (principle, kind) in [("judge", "judge_failed"), ("slow", "judge_failed"), ("few", "verifier_error")] {
        let replies = site.group(json!({"_ng_group_id": principle, "principle": principle})).await;
        assert_eq!(rewards(&replies), [None; 3], "{principle}");
        for (status, reply) in replies {
            assert_eq!((status, &reply["failure_kind"]), (200, &json!(kind)), "{principle}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_caller_went_away_still_counts() {
    let site = site(json!({}));
    let gone = site.send(json!({"_ng_group_id": "g", "_ng_rollout_index": 0}), "response 0");
    assert!(tokio::time::timeout(Duration::from_secs(1), gone).await.is_err());
    let member = |index: usize| site.send(json!({"_ng_group_id": "g", "_ng_rollout_index": index}), "r");
    let (one, two) = tokio::join!(member(1), member(2));
    assert_eq!(rewards(&[one, two]), [Some(1.0), Some(2.0)]);
}

#[tokio::test(start_paused = true)]
async fn groups_without_a_name_are_told_by_task_and_prompt_and_may_come_again() {
    let site = site(json!({}));
    for _ in 0..2 {
        let (four, five) =
            tokio::join!(site.group(json!({"_ng_task_index": 4})), site.group(json!({"_ng_task_index": 5})));
        assert_eq!((rewards(&four), rewards(&five)), (vec![Some(0.0), Some(1.0), Some(2.0)], rewards(&four)));
    }
    assert_eq!(site.calls.lock().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn places_are_checked_unless_they_follow_from_the_arrival() {
    let strict = site(json!({}));
    for fields in [
        json!({}),
        json!({"_ng_rollout_index": 3}),
        json!({"_ng_rollout_index": -1}),
        json!({"_ng_rollout_index": 0, "_ng_group_attempt": -1}),
    ] {
        assert_eq!(strict.send(fields.clone(), "r").await.0, 422, "{fields}");
    }
    let lenient = site(json!({"explicit": false}));
    let member = |text: &'static str| lenient.send(json!({"_ng_task_index": 1}), text);
    let (a, b, c) = tokio::join!(member("a"), member("b"), member("c"));
    assert_eq!(rewards(&[a, b, c]), [Some(0.0), Some(1.0), Some(2.0)]);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_groups_are_remembered_and_only_for_some_time() {
    let site = site(json!({}));
    for id in ["a", "b", "c"] {
        site.group(json!({"_ng_group_id": id})).await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let groups = site.service.server.groups.as_ref().unwrap();
    site.send(json!({"_ng_group_id": "c", "_ng_rollout_index": 0}), "response 0").await;
    assert_eq!(groups.registry.lock().len(), 2, "the oldest is forgotten");
    tokio::time::advance(Duration::from_secs(601)).await;
    site.group(json!({"_ng_group_id": "d"})).await;
    assert_eq!(groups.registry.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn attempts_whose_row_has_the_others_are_graded_alone() {
    let site = site(json!({"alone_with": "principle"}));
    let (status, _) = site.send(json!({"principle": "alone"}), "r").await;
    assert_eq!(status, 200);
    let request = site.calls.lock()[0].clone();
    assert_eq!((&request["principle"], request.get("group")), (&json!("alone"), None));
    assert_eq!(rewards(&site.group(json!({"principle": null})).await), [Some(0.0), Some(1.0), Some(2.0)]);
}

#[test]
fn options_that_make_no_sense_are_errors() {
    for (options, lifetime) in [
        (json!({"size": 1, "collect_seconds": 1.0, "evaluate_seconds": 1.0, "keep": 1}), Lifetime::Call),
        (json!({"size": 2, "collect_seconds": 0.0, "evaluate_seconds": 1.0, "keep": 1}), Lifetime::Call),
        (json!({"size": 2, "collect_seconds": 1.0, "evaluate_seconds": 1.0, "keep": 0}), Lifetime::Call),
        (json!({"size": 2, "collect_seconds": 1.0, "evaluate_seconds": 1.0, "keep": 1}), Lifetime::Session),
        (json!({"size": 2}), Lifetime::Call),
    ] {
        let fields = json!({"x-gym-group": options}).to_string();
        assert!(super::Groups::new(&fields, lifetime).is_err(), "{fields}");
    }
    assert!(super::Groups::new("{}", Lifetime::Session).unwrap().is_none());
}
