// SPDX-License-Identifier: Apache-2.0
//! `POST /aggregate_metrics`.

use std::sync::Arc;

use bytes::Bytes;
use gym_agents::{Reply, Route};
use gym_data::metrics::{Aggregate, MetricOptions, MetricsError, aggregate, verify_replies};
use gym_protocol::{Fault, FaultKind, Raw, scan};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{Server, body::Payload, reply::Failure, seed::text};
use crate::environment::InstanceFor;

impl Server {
    pub(super) async fn aggregate(self: &Arc<Self>, payload: Payload<'_>) -> Reply {
        let route = Route::Tool("aggregate_metrics".to_owned());
        self.try_aggregate(payload).await.unwrap_or_else(|failure| failure.into_reply(&self.name, &route))
    }

    async fn try_aggregate(self: &Arc<Self>, payload: Payload<'_>) -> Result<Reply, Failure> {
        let replies = verify_replies(&payload.object()?).map_err(Failure::Invalid)?;
        let server = self.clone();
        // Thousands of replies take a while; other requests must not wait for them.
        let work = tokio::task::spawn_blocking(move || {
            let options = MetricOptions { pass: server.environment.description().metrics.as_ref() };
            aggregate(&replies, options).map(|metrics| (metrics, replies))
        });
        let (mut metrics, replies) = match work.await {
            Ok(Ok(done)) => done,
            Ok(Err(error @ (MetricsError::NotAnObject(_) | MetricsError::Duplicate { .. }))) => {
                return Ok(Reply::new(500, Raw::from_value(&error.to_string()).bytes().clone()));
            }
            Err(error) => {
                let fault = Fault::new(FaultKind::Reported, "the server failed while it was aggregating");
                return Err(fault.with_internal(error).into());
            }
        };
        if self.environment.description().own_metrics && !replies.is_empty() {
            self.add_own_metrics(&replies, &mut metrics).await?;
        }
        Ok(Reply::ok(metrics.into_json()))
    }

    /// Lets the environment add to the metrics.
    async fn add_own_metrics(&self, replies: &[Raw], metrics: &mut Aggregate) -> Result<(), Failure> {
        let mut instance = self.environment.instance(InstanceFor::Call).await?;
        let reply = instance.aggregate_metrics(&own_metrics_request(replies, &metrics.agent_metrics)).await?;
        let bad = |what: &str| Fault::new(FaultKind::BadReply, format!("the environment's metrics are not {what}"));
        let mut own: Map<String, Value> = serde_json::from_str(&reply).map_err(|_| bad("a JSON object"))?;
        if let Some(added) = own.remove("agent_metrics") {
            let Value::Object(added) = added else { return Err(bad("objects of numbers").into()) };
            metrics.agent_metrics.extend(added);
        }
        if let Some(chosen) = own.remove("key_metrics") {
            let Value::Object(chosen) = chosen else { return Err(bad("objects of numbers").into()) };
            let coverage: Vec<_> = std::mem::replace(&mut metrics.key_metrics, chosen)
                .into_iter()
                .filter(|(name, _)| name.starts_with("coverage/"))
                .collect();
            metrics.key_metrics.extend(coverage);
        }
        if let Some(groups) = own.remove("per_task_metrics") {
            let Value::Array(groups) = groups else { return Err(bad("lists of tasks").into()) };
            for group in groups {
                let Value::Object(group) = group else { return Err(bad("lists of tasks").into()) };
                let task = group.get("_ng_task_index").and_then(Value::as_i64);
                // Groups stand in the order of their tasks.
                let place = metrics.group_level_metrics.binary_search_by(|known| Some(known.task).cmp(&task));
                if let Ok(place) = place {
                    metrics.group_level_metrics[place].extend(group);
                }
            }
        }
        Ok(())
    }
}

/// `{"tasks":[[reply,…],…],"agent_metrics":{…}}`: replies that are measurements, by task.
fn own_metrics_request(replies: &[Raw], agent_metrics: &Map<String, Value>) -> String {
    let mut tasks: IndexMap<i64, Vec<&Bytes>> = IndexMap::new();
    for (index, reply) in replies.iter().enumerate() {
        if scan::member(reply.bytes(), "mask_sample") == Some(b"true") {
            continue;
        }
        let task = scan::member(reply.bytes(), "_ng_task_index")
            .and_then(|text| std::str::from_utf8(text).ok()?.parse().ok())
            .unwrap_or_else(|| i64::try_from(index).unwrap_or(i64::MAX));
        tasks.entry(task).or_default().push(reply.bytes());
    }
    tasks.sort_unstable_keys();
    let mut request = b"{\"tasks\":[".to_vec();
    for (index, replies) in tasks.values().enumerate() {
        request.extend_from_slice(if index == 0 { b"[" } else { b",[" });
        for (index, reply) in replies.iter().enumerate() {
            if index > 0 {
                request.push(b',');
            }
            request.extend_from_slice(reply);
        }
        request.push(b']');
    }
    request.extend_from_slice(b"],\"agent_metrics\":");
    request.extend_from_slice(Raw::from_value(agent_metrics).bytes());
    request.push(b'}');
    text(request)
}
