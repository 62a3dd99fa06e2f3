// SPDX-License-Identifier: Apache-2.0
//! `POST /aggregate_metrics` for agents whose rewards no resources server gave.

use bytes::Bytes;
use gym_data::metrics::{MetricOptions, aggregate, verify_replies};
use gym_protocol::{FaultKind, Raw, validate::detail_body};

use crate::{
    failure::{RunError, Stage},
    ports::Reply,
    request_body::read_object,
};

/// The metrics that every environment has.
pub(crate) async fn aggregate_here(body: Bytes) -> Reply {
    let replies = match read_object(body) {
        Ok(body) => verify_replies(&body).map_err(|errors| Reply::new(422, detail_body(&errors))),
        Err(refusal) => Err(refusal),
    };
    let replies = match replies {
        Ok(replies) => replies,
        Err(refusal) => return refusal,
    };
    // Thousands of replies take a while; other requests must not wait for them.
    let work = tokio::task::spawn_blocking(move || aggregate(&replies, MetricOptions { pass: None }));
    match work.await {
        Ok(Ok(metrics)) => Reply::ok(metrics.into_json()),
        Ok(Err(error)) => Reply::new(500, Raw::from_value(&error.to_string()).bytes().clone()),
        Err(error) => {
            tracing::error!(%error, "aggregating failed");
            let reason = "the agent failed while it was aggregating";
            RunError::failed(FaultKind::AgentRun, Stage::Verification, reason).into_http()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    async fn asked(body: Value) -> (u16, Value) {
        let reply = aggregate_here(Bytes::from(body.to_string())).await;
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    #[tokio::test]
    async fn rewards_are_summed_up_and_masked_ones_left_out() {
        let row = |task: u32, reward: f64| json!({"_ng_task_index": task, "_ng_rollout_index": 0, "reward": reward});
        let mut masked = row(2, 0.0);
        masked["mask_sample"] = json!(true);
        let (status, reply) = asked(json!({"verify_responses": [row(0, 1.0), row(1, 0.0), masked]})).await;
        assert_eq!(status, 200);
        assert_eq!(reply["agent_metrics"]["mean/reward"], json!(0.5));
        assert_eq!(reply["agent_metrics"]["coverage/masked_rollouts"], json!(1));
        let (status, empty) = asked(json!({"verify_responses": []})).await;
        assert_eq!((status, &empty["agent_metrics"], &empty["group_level_metrics"]), (200, &json!({}), &json!([])));
    }

    #[tokio::test]
    async fn a_body_without_replies_is_refused() {
        let (status, reply) = asked(json!({})).await;
        assert_eq!((status, &reply["detail"][0]["type"]), (422, &json!("missing")));
        let (status, reply) = asked(json!({"verify_responses": [1]})).await;
        assert_eq!((status, &reply["detail"][0]["type"]), (422, &json!("dict_type")));
        assert_eq!(asked(json!([])).await.0, 422);
    }
}
