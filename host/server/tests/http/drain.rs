// SPDX-License-Identifier: Apache-2.0

use std::time::Duration;

use gym_server::{DrainReport, HttpLimits, Purpose};
use tokio::net::TcpStream;

use crate::{
    client::{Client, post},
    fixture::Running,
};

const LONG: Duration = Duration::from_secs(300);

#[tokio::test]
async fn a_drain_answers_what_has_begun_and_closes_the_rest() {
    let running = Running::new(HttpLimits::default()).await;
    running.server.set_ready();
    let address = running.fake();
    let mut idle = Client::connect(address).await;
    assert_eq!(idle.post("/echo", "[1]").await.status, 200);
    let mut busy = Client::connect(address).await;
    busy.send(post("/wait", "{}")).await;
    let mut half = Client::connect(address).await;
    half.send("POST /echo HTTP/1.1\r\nhost: x\r\n").await;
    running.watch.until(&running.watch.waiting, 1).await;
    let mut head = Client::connect(running.address(&Purpose::Head)).await;
    assert_eq!(head.get("/readyz").await.status, 200);

    let watch = std::sync::Arc::clone(&running.watch);
    let head_address = running.address(&Purpose::Head);
    let (report, ()) = tokio::join!(running.server.shutdown(LONG), async {
        assert!(idle.is_closed().await);
        // Half a request becomes a whole one during the drain.
        half.send("content-type: application/json\r\ncontent-length: 2\r\n\r\n{}").await;
        let refused = half.response().await;
        assert_eq!((refused.status, &*refused.body), (503, r#"{"detail":"the server is shutting down"}"#));
        assert_eq!((refused.header("connection"), refused.header("retry-after")), (Some("close"), Some("1")));
        assert!(TcpStream::connect(address).await.is_err());
        // The head server still tells what goes on.
        let mut head = Client::connect(head_address).await;
        let readiness = head.get("/readyz").await;
        assert_eq!((readiness.status, &*readiness.body), (503, r#"{"status":"draining"}"#));
        watch.gate.add_permits(1);
        let response = busy.response().await;
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
        assert!(busy.is_closed().await);
    });
    assert_eq!(report, DrainReport { aborted: 0 });
    assert!(TcpStream::connect(head_address).await.is_err());
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut_off() {
    let running = Running::new(HttpLimits::default()).await;
    let mut busy = Client::connect(running.fake()).await;
    busy.send(post("/wait", "{}")).await;
    running.watch.until(&running.watch.waiting, 1).await;
    let report = running.server.shutdown(Duration::from_millis(50)).await;
    assert_eq!(report, DrainReport { aborted: 1 });
    assert!(busy.is_closed().await);
    running.watch.until(&running.watch.dropped, 1).await;
}

#[tokio::test]
async fn an_abort_ends_a_drain_at_once() {
    let running = Running::new(HttpLimits::default()).await;
    let mut busy = Client::connect(running.fake()).await;
    busy.send(post("/wait", "{}")).await;
    running.watch.until(&running.watch.waiting, 1).await;
    let (report, ()) = tokio::join!(running.server.shutdown(LONG), async { running.server.abort() });
    assert_eq!(report, DrainReport { aborted: 1 });
    assert!(busy.is_closed().await);
}
