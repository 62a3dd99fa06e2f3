// SPDX-License-Identifier: Apache-2.0
//! An agent's items as they come, for clients that ask `/v1/responses` for a stream.

use std::{panic::AssertUnwindSafe, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use gym_agents::ports::Reply;
use gym_protocol::{Members, Raw};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep_until},
};

use super::openai::{Finished, NOT_STREAMABLE, finished, message_of, panicked};
use crate::{
    answer::{Answer, AnswerBody},
    sse::{self, responses::ResponseEvents},
};

/// Answers with a stream that begins with the first item. An error that comes before it is an ordinary reply; when
/// there is no item for `keep_alive`, the stream begins with comments.
///
/// `begun` has the fields of the response that are known before it is there. Its `id` is that of the whole stream: a
/// response that several model calls led to has no id before the last of them.
pub(super) async fn stream_items(
    work: impl Future<Output = Finished> + Send + 'static,
    mut items: UnboundedReceiver<Raw>,
    begun: Members,
    keep_alive: Duration,
) -> Answer {
    let guarded = AssertUnwindSafe(work).catch_unwind().map(|outcome| outcome.unwrap_or_else(panicked));
    let mut work: Work = Box::pin(guarded);
    let first = next(&mut work, &mut items, keep_alive).await;
    if let Next::Done(reply, cookies) = first {
        return finished(reply, super::openai::StreamShape::Responses).with_cookies(cookies);
    }
    let mut teller = Teller { events: ResponseEvents::with_capacity(4096), begun: Some(begun), id: None };
    let opening = teller.tell(first);
    let rest = stream::unfold(Some((work, items, teller)), move |state| async move {
        let (mut work, mut items, mut teller) = state?;
        let next = next(&mut work, &mut items, keep_alive).await;
        let is_last = matches!(next, Next::Done(..));
        let events = teller.tell(next);
        Some((events, (!is_last).then_some((work, items, teller))))
    });
    Answer::events(AnswerBody::Stream(Box::pin(stream::once(std::future::ready(opening)).chain(rest))))
}

type Work = Pin<Box<dyn Future<Output = Finished> + Send>>;

enum Next {
    Item(Raw),
    Nothing,
    Done(Reply, Vec<gym_agents::ports::Cookie>),
}

/// What comes next. Items that are there already come before the end, which has all of them.
async fn next(work: &mut Work, items: &mut UnboundedReceiver<Raw>, patience: Duration) -> Next {
    tokio::select! {
        biased;
        Some(item) = items.recv() => Next::Item(item),
        (reply, cookies) = work => Next::Done(reply, cookies),
        () = sleep_until(Instant::now() + patience) => Next::Nothing,
    }
}

struct Teller {
    events: ResponseEvents,
    /// What the beginning says, until it was said.
    begun: Option<Members>,
    id: Option<Raw>,
}

impl Teller {
    fn tell(&mut self, next: Next) -> Bytes {
        match next {
            Next::Nothing => Bytes::from_static(sse::KEEP_ALIVE),
            Next::Item(item) => {
                self.begin();
                match self.events.item(&item) {
                    Ok(()) => self.events.take(),
                    Err(error) => {
                        // The end has it again, and tells that it cannot be streamed.
                        tracing::warn!(%error, "failed to make events of an item");
                        Bytes::from_static(sse::KEEP_ALIVE)
                    }
                }
            }
            Next::Done(reply, _) if !reply.is_success() => sse::late_error(&message_of(&reply.body), reply.status),
            Next::Done(reply, _) => {
                self.begin();
                let told = self.with_id(reply.body).and_then(|response| self.events.finish(&response).ok());
                match told {
                    Some(()) => self.events.take(),
                    None => sse::late_error(NOT_STREAMABLE, 502),
                }
            }
        }
    }

    fn begin(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.events.begin(&begun);
            self.id = begun.get("id").cloned();
        }
    }

    fn with_id(&self, response: Bytes) -> Option<Raw> {
        let mut members = Raw::parse(response).ok()?.members().ok()?;
        if let Some(id) = &self.id {
            members.set("id", id.clone());
        }
        Some(members.to_raw())
    }
}

/// What is known of a response before its first item: the fields of the request that it repeats.
pub(super) fn begun(params: &Members, agent: &str, id: &str, created_at: f64) -> Members {
    let mut begun = Members::new();
    begun.set("id", Raw::from_value(id));
    begun.set("created_at", gym_protocol::number::float(created_at));
    begun.set("model", params.get_set("model").cloned().unwrap_or_else(|| Raw::from_value(agent)));
    begun.set("object", Raw::from_value("response"));
    begun.set("output", Raw::trusted("[]"));
    for (name, default) in [("parallel_tool_calls", "true"), ("tool_choice", "\"auto\""), ("tools", "[]")] {
        begun.set(name, params.get_set(name).cloned().unwrap_or_else(|| Raw::trusted(default)));
    }
    for name in ["instructions", "metadata", "max_output_tokens", "temperature", "top_p", "reasoning", "text"] {
        if let Some(value) = params.get_set(name) {
            begun.set(name, value.clone());
        }
    }
    begun
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use gym_agents::ports::ItemWatch;
    use serde_json::{Value, json};
    use tokio::sync::oneshot;

    use super::*;
    use crate::sse::testing::events;

    const KEEP_ALIVE: Duration = Duration::from_millis(20);

    fn params() -> Members {
        begun(&Members::new(), "agent", "resp_1", 1.0)
    }

    fn item(id: &str) -> Raw {
        Raw::from_value(&json!({"type": "function_call_output", "call_id": id, "output": "1"}))
    }

    fn response(items: &[&str]) -> Reply {
        let items: Vec<Value> = items.iter().map(|id| item(id).read().unwrap()).collect();
        Reply::ok(json!({"id": "model's", "output": items, "status": "completed"}).to_string())
    }

    async fn next_events(stream: &mut (impl futures_util::Stream<Item = Bytes> + Unpin)) -> Vec<(String, Value)> {
        loop {
            let chunk = stream.next().await.unwrap();
            if chunk != sse::KEEP_ALIVE {
                return events(&chunk);
            }
        }
    }

    #[tokio::test]
    async fn items_are_told_while_the_work_goes_on() {
        let (watch, items) = ItemWatch::channel();
        let (more, wait) = oneshot::channel::<()>();
        let work = async move {
            watch.tell(&item("a"));
            wait.await.unwrap();
            watch.tell(&item("b"));
            tokio::task::yield_now().await;
            (response(&["a", "b", "c"]), Vec::new())
        };
        let AnswerBody::Stream(mut stream) = stream_items(work, items, params(), KEEP_ALIVE).await.body else {
            panic!("the answer is a stream");
        };
        let names = |events: &[(String, Value)]| events.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let first = next_events(&mut stream).await;
        let item_events = ["response.output_item.added", "response.output_item.done"];
        assert_eq!(names(&first), [&["response.created", "response.in_progress"][..], &item_events].concat());
        assert_eq!(first[0].1["response"]["id"], "resp_1");
        more.send(()).unwrap();
        let second = next_events(&mut stream).await;
        assert_eq!(names(&second), item_events);
        assert_eq!(second[0].1["output_index"], 1);
        let last = next_events(&mut stream).await;
        assert_eq!(names(&last), [&item_events[..], &["response.completed"]].concat());
        assert_eq!(last[2].1["response"]["id"], "resp_1");
        assert_eq!(last[2].1["response"]["output"].as_array().unwrap().len(), 3);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn an_error_before_any_item_is_an_ordinary_reply_and_later_an_event() {
        let (_watch, items) = ItemWatch::channel();
        let failing = async { (Reply::new(500, "\"no model\""), Vec::new()) };
        let answer = stream_items(failing, items, params(), Duration::from_secs(60)).await;
        assert_eq!(answer.status, 500);

        let (watch, items) = ItemWatch::channel();
        let failing = async move {
            watch.tell(&item("a"));
            tokio::task::yield_now().await;
            (Reply::new(500, "\"no model\""), Vec::new())
        };
        let AnswerBody::Stream(stream) = stream_items(failing, items, params(), KEEP_ALIVE).await.body else {
            panic!("the answer is a stream");
        };
        let chunks: Vec<Bytes> = stream.collect().await;
        let last = events(chunks.last().unwrap());
        assert_eq!((last[0].0.as_str(), &last[0].1["error"]["message"]), ("error", &json!("no model")));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_like_any_other() {
        let (_watch, items) = ItemWatch::channel();
        let work = async { panic!("on purpose") };
        assert_eq!(stream_items(work, items, params(), Duration::from_secs(60)).await.status, 500);
    }
}
