// SPDX-License-Identifier: Apache-2.0
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::{
    directory::IMPLEMENTATIONS,
    fakes::{Answer, World, member, message, ok, response, status},
    ports::RequestContext,
};

const ROW: &str = r#"{"responses_create_params":{"input":[]},"task_idx":1}"#;
const AVIARY_SEED: &str = r#"{"env_id":"e","obs":[],"tools":[]}"#;

fn world(answer: Answer) -> World {
    World::new([answer], [])
        .route("seed", [ok(AVIARY_SEED)])
        .route("reset", [ok(r#"{"observation":null,"info":{}}"#)])
        .route("step", [ok(r#"{"observation":null,"reward":1.0,"terminated":true,"obs":[],"done":true}"#)])
        .route("close", [ok("{}")])
        .route(
            "tool next_user_message",
            [ok(r#"{"message":"hi","should_continue":true}"#), ok(r#"{"message":"","should_continue":false}"#)],
        )
        .route("verify", [ok(r#"{"reward":1.0}"#)])
}

fn config(more: Value) -> Value {
    let mut config = json!({"agent_base_url": "http://elsewhere"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

#[tokio::test(start_paused = true)]
async fn the_session_of_a_run_ends_with_it_whatever_comes_of_it() {
    for agent in IMPLEMENTATIONS {
        let outcomes = [
            (response(&message("x")), json!({}), None),
            (status(400, "no"), json!({}), Some("")),
            (Answer::Hang, json!({"run_timeout_seconds": 0.5, "request_timeout_seconds": 100}), Some("0.5 s")),
        ];
        for (answer, more, failure) in outcomes {
            let world = world(answer);
            let reply = world.run(&*world.agent(agent, config(more)), ROW).await;
            let message = member(&reply, "_ng_failure_message");
            match failure {
                None => assert_eq!(member(&reply, "reward"), 1.0, "{agent}: {reply}"),
                Some(text) => {
                    assert!(message.as_str().is_some_and(|message| message.contains(text)), "{agent}: {reply}")
                }
            }
            assert_eq!(world.resources.ended.load(Ordering::Relaxed), 1, "{agent}: {reply}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_session_of_a_run_that_its_client_gave_up_ends_too() {
    for name in IMPLEMENTATIONS {
        let world = world(Answer::Hang);
        let agent = world.agent(name, config(json!({})));
        let mut context = RequestContext::default();
        let run = agent.run(ROW.into(), &mut context);
        assert!(tokio::time::timeout(std::time::Duration::from_secs(1), run).await.is_err(), "{name}");
        tokio::task::yield_now().await;
        assert_eq!(world.resources.ended.load(Ordering::Relaxed), 1, "{name}");
    }
}
