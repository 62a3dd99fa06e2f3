// SPDX-License-Identifier: Apache-2.0
//! Model servers as one resources server may use them: how many requests at once, and how long each may take.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Model, Reply, RequestContext};
use gym_protocol::{Fault, FaultKind, ModelRequest, ServerName};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

/// NeMo Gym's name for how many requests a resources server may have at its judges at the same time.
const AT_ONCE: &str = "judge_endpoint_max_concurrency";
/// NeMo Gym's name for how many seconds one of them may take, tries of the client included.
const SECONDS: &str = "judge_request_timeout_s";

/// What counts for environments that say nothing, where NeMo Gym's server of that name has a default: requests, seconds.
const DEFAULTS: [(&str, &str, f64); 2] = [("equivalence_llm_judge", AT_ONCE, 64.0), ("genrm_compare", SECONDS, 1800.0)];

/// What a resources server's block says of its requests to model servers. All of the server's sessions share it.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    room: Option<Arc<Semaphore>>,
    patience: Option<(f64, Duration)>,
}

/// A setting that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` should be {expected}")]
pub struct BoundsError {
    key: &'static str,
    expected: &'static str,
}

impl Bounds {
    /// Reads `judge_endpoint_max_concurrency` (null: as many as there are) and `judge_request_timeout_s`. Texts of numbers
    /// are numbers, as values of the command line are. `environment` is the one that the block is for: some have defaults.
    pub fn read(environment: &str, block: &Map<String, Value>) -> Result<Self, BoundsError> {
        let default = |key: &str| DEFAULTS.iter().find(|default| (default.0, default.1) == (environment, key));
        let number = |key: &str| match block.get(key) {
            None => default(key).map(|default| default.2),
            Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.trim().parse().unwrap_or(f64::NAN)),
            Some(value) => Some(value.as_f64().unwrap_or(f64::NAN)),
        };
        let room = match number(AT_ONCE) {
            None => None,
            Some(count) if count >= 1.0 && count.fract() == 0.0 => {
                // A number beyond the range of the type is its end.
                Some(Arc::new(Semaphore::new((count as usize).min(Semaphore::MAX_PERMITS))))
            }
            Some(_) => return Err(BoundsError { key: AT_ONCE, expected: "a whole number from 1 on, or null" }),
        };
        let expected = "a number of seconds above 0";
        let patience = number(SECONDS).map(|seconds| match Duration::try_from_secs_f64(seconds) {
            Ok(duration) if !duration.is_zero() => Ok((seconds, duration)),
            _ => Err(BoundsError { key: SECONDS, expected }),
        });
        Ok(Self { room, patience: patience.transpose()? })
    }

    /// The model server within these bounds.
    pub fn around(&self, model: Arc<dyn Model>) -> Arc<dyn Model> {
        match self {
            Self { room: None, patience: None } => model,
            bounds => Arc::new(Bounded { model, bounds: bounds.clone() }),
        }
    }

    /// Waits for room, and then for the answer. The time counts from when there is room.
    async fn within(
        &self,
        name: &ServerName,
        answer: impl Future<Output = Result<Reply, Fault>>,
    ) -> Result<Reply, Fault> {
        let _room = match &self.room {
            Some(room) => Some(room.acquire().await.expect("nobody closes it")),
            None => None,
        };
        let Some((seconds, patience)) = self.patience else { return answer.await };
        tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| {
            let text = format!("model server `{name}` took longer than {seconds} s (`{SECONDS}`)");
            Err(Fault::new(FaultKind::ModelFailed, text))
        })
    }
}

/// See [`Bounds::around`].
struct Bounded {
    model: Arc<dyn Model>,
    bounds: Bounds,
}

#[async_trait]
impl Model for Bounded {
    fn name(&self) -> &ServerName {
        self.model.name()
    }

    async fn respond(&self, request: ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault> {
        self.bounds.within(self.name(), self.model.respond(request, context)).await
    }

    async fn chat(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        self.bounds.within(self.name(), self.model.chat(body, context)).await
    }

    async fn messages(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        self.bounds.within(self.name(), self.model.messages(body, context)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use tokio::sync::Notify;

    use super::*;

    /// Answers when it is told to, and notes how many wait at most.
    struct Slow {
        name: ServerName,
        waiting: AtomicUsize,
        most: AtomicUsize,
        go: Notify,
    }

    #[async_trait]
    impl Model for Slow {
        fn name(&self) -> &ServerName {
            &self.name
        }

        async fn respond(&self, _request: ModelRequest, _context: &mut RequestContext) -> Result<Reply, Fault> {
            self.most.fetch_max(1 + self.waiting.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
            self.go.notified().await;
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            Ok(Reply::ok("{}"))
        }

        async fn chat(&self, _body: Bytes, _context: &mut RequestContext) -> Result<Reply, Fault> {
            Ok(Reply::ok("{}"))
        }
    }

    fn bounds(block: Value) -> Result<Bounds, BoundsError> {
        Bounds::read("any", block.as_object().unwrap())
    }

    async fn ask(model: &Arc<dyn Model>) -> Result<Reply, Fault> {
        let request = ModelRequest::parse(Bytes::from_static(b"{\"input\":[]}")).unwrap();
        model.respond(request, &mut RequestContext::default()).await
    }

    #[test]
    fn settings_are_numbers_texts_of_numbers_or_nothing() {
        for block in [
            json!({}),
            json!({"judge_endpoint_max_concurrency": null, "judge_request_timeout_s": null}),
            json!({"judge_endpoint_max_concurrency": 64, "judge_request_timeout_s": 0.5}),
            json!({"judge_endpoint_max_concurrency": "8", "judge_request_timeout_s": "1800"}),
        ] {
            assert!(bounds(block.clone()).is_ok(), "{block}");
        }
        for (block, text) in [
            (json!({"judge_endpoint_max_concurrency": 0}), "`judge_endpoint_max_concurrency` should be a whole number"),
            (json!({"judge_endpoint_max_concurrency": 1.5}), "`judge_endpoint_max_concurrency` should"),
            (json!({"judge_endpoint_max_concurrency": "many"}), "`judge_endpoint_max_concurrency` should"),
            (json!({"judge_endpoint_max_concurrency": true}), "`judge_endpoint_max_concurrency` should"),
            (json!({"judge_request_timeout_s": 0}), "`judge_request_timeout_s` should be a number of seconds above 0"),
            (json!({"judge_request_timeout_s": -1}), "`judge_request_timeout_s` should"),
            (json!({"judge_request_timeout_s": "inf"}), "`judge_request_timeout_s` should"),
            (json!({"judge_request_timeout_s": [1]}), "`judge_request_timeout_s` should"),
        ] {
            let error = bounds(block.clone()).unwrap_err().to_string();
            assert!(error.starts_with(text), "{block}: {error}");
        }
    }

    #[test]
    fn what_nemo_gym_bounds_by_default_is_bounded_unless_it_is_said() {
        let read = |environment: &str, block: Value| Bounds::read(environment, block.as_object().unwrap()).unwrap();
        let room = |bounds: &Bounds| bounds.room.as_ref().map(|room| room.available_permits());
        assert_eq!(room(&read("equivalence_llm_judge", json!({}))), Some(64));
        assert_eq!(room(&read("equivalence_llm_judge", json!({"judge_endpoint_max_concurrency": null}))), None);
        assert_eq!(room(&read("equivalence_llm_judge", json!({"judge_endpoint_max_concurrency": 256}))), Some(256));
        assert_eq!(read("genrm_compare", json!({})).patience, Some((1800.0, Duration::from_secs(1800))));
        let any = read("math_with_judge", json!({}));
        assert_eq!((room(&any), any.patience), (None, None));
    }

    #[tokio::test]
    async fn no_more_than_so_many_requests_wait_at_the_model() {
        let slow = Arc::new(Slow {
            name: ServerName::new("judge").unwrap(),
            waiting: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            go: Notify::new(),
        });
        let bounds = bounds(json!({"judge_endpoint_max_concurrency": 2})).unwrap();
        let model = bounds.around(slow.clone());
        // Another model of the same server shares the room.
        let beside = bounds.around(slow.clone());
        let asking = futures_util::future::join_all((0..10).map(|at| ask(if at % 2 == 0 { &model } else { &beside })));
        let answering = async {
            let mut answered = 0;
            while answered < 10 {
                match slow.waiting.load(Ordering::SeqCst) {
                    0 => tokio::task::yield_now().await,
                    _ => {
                        slow.go.notify_one();
                        answered += 1;
                        tokio::task::yield_now().await;
                    }
                }
            }
        };
        let (replies, ()) = tokio::join!(asking, answering);
        assert!(replies.iter().all(Result::is_ok));
        assert_eq!(slow.most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_a_failure_of_the_model_server() {
        let slow = Arc::new(Slow {
            name: ServerName::new("judge").unwrap(),
            waiting: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            go: Notify::new(),
        });
        let model = bounds(json!({"judge_request_timeout_s": 1.5})).unwrap().around(slow);
        let fault = ask(&model).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::ModelFailed);
        assert_eq!(fault.message, "model server `judge` took longer than 1.5 s (`judge_request_timeout_s`)");
        assert!(model.chat(Bytes::new(), &mut RequestContext::default()).await.is_ok());
    }
}
