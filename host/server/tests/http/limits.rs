// SPDX-License-Identifier: Apache-2.0

use std::time::{Duration, Instant};

use gym_server::HttpLimits;

use crate::{
    client::{Client, PATIENCE, post},
    fixture::Running,
};

/// A time that a test waits for, and within which a client that does not dawdle says what it has to say.
const SHORT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn half_a_request_is_cut_off_but_an_idle_connection_is_not() {
    let limits = HttpLimits { header_timeout: SHORT, idle_timeout: Duration::from_secs(60), ..HttpLimits::default() };
    let running = Running::new(limits).await;
    let mut idle = Client::connect(running.fake()).await;
    assert_eq!(idle.post("/echo", "[1]").await.status, 200);
    let mut new = Client::connect(running.fake()).await;

    let mut slow = Client::connect(running.fake()).await;
    slow.send("POST /echo HTTP/1.1\r\nhost:").await;
    let response = slow.response().await;
    assert_eq!((response.status, &*response.body), (408, r#"{"detail":"Request Timeout"}"#));
    assert!(slow.is_closed().await);
    // The same on a connection that has been used.
    let mut used = Client::connect(running.fake()).await;
    assert_eq!(used.post("/echo", "[1]").await.status, 200);
    used.send("P").await;
    assert_eq!(used.response().await.status, 408);

    // The others have been idle for longer than the header timeout by now.
    assert_eq!(idle.post("/echo", "[2]").await.body, "[2]");
    assert_eq!(new.post("/echo", "[3]").await.body, "[3]");
}

#[tokio::test]
async fn dripping_headers_do_not_gain_time() {
    let running = Running::new(HttpLimits { header_timeout: SHORT, ..HttpLimits::default() }).await;
    let mut slow = Client::connect(running.fake()).await;
    slow.send("GET / HTTP/1.1\r\n").await;
    let begun = Instant::now();
    let mut letters = tokio::time::interval(Duration::from_millis(20));
    while begun.elapsed() < PATIENCE {
        letters.tick().await;
        if !slow.try_send("x").await {
            return;
        }
    }
    panic!("the connection was never closed");
}

#[tokio::test]
async fn idle_connections_are_closed_after_the_idle_timeout() {
    let running = Running::new(HttpLimits { idle_timeout: SHORT, ..HttpLimits::default() }).await;
    let mut client = Client::connect(running.fake()).await;
    assert_eq!(client.post("/echo", "[1]").await.status, 200);
    assert!(client.is_closed().await);
    let mut silent = Client::connect(running.fake()).await;
    assert!(silent.is_closed().await);
}

#[tokio::test]
async fn a_call_may_take_longer_than_all_timeouts() {
    let limits = HttpLimits {
        header_timeout: SHORT,
        idle_timeout: SHORT,
        body_idle_timeout: SHORT,
        write_timeout: SHORT,
        ..HttpLimits::default()
    };
    let running = Running::new(limits).await;
    let mut waiting = Client::connect(running.fake()).await;
    waiting.send(post("/wait", "{}")).await;
    running.watch.until(&running.watch.waiting, 1).await;
    // Two other connections run into their timeouts one after the other, so that much time has passed.
    for _ in 0..2 {
        let mut other = Client::connect(running.fake()).await;
        assert!(other.is_closed().await);
    }
    running.watch.gate.add_permits(1);
    assert_eq!(waiting.response().await.body, "\"waited\"");
}

#[tokio::test]
async fn a_slow_body_is_cut_off() {
    let running = Running::new(HttpLimits { body_idle_timeout: SHORT, ..HttpLimits::default() }).await;
    let mut client = Client::connect(running.fake()).await;
    client
        .send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n[1")
        .await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection")), (408, Some("close")));
    assert_eq!(response.cookies(), ["fake=new"]);
}

#[tokio::test]
async fn a_dripping_body_is_cut_off_by_its_rate() {
    let limits = HttpLimits { body_idle_timeout: SHORT, body_min_rate: 1 << 20, ..HttpLimits::default() };
    let running = Running::new(limits).await;
    let mut client = Client::connect(running.fake()).await;
    client
        .send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
        .await;
    let mut letters = tokio::time::interval(Duration::from_millis(20));
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        letters.tick().await;
        if !client.try_send(" ").await {
            break;
        }
    }
    // The last letters may have reached a closed socket, which then takes the answer with it.
    if let Some(response) = client.response_or_close().await {
        assert_eq!(response.status, 408);
    }
}

#[tokio::test]
async fn large_bodies_are_refused_announced_or_not() {
    let limits = HttpLimits { max_body_bytes: 100_000, ..HttpLimits::default() };
    let running = Running::new(limits).await;
    let fits = format!("\"{}\"", "x".repeat(99_998));
    let large = format!("\"{}\"", "x".repeat(200_000));
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

    let mut client = Client::connect(running.fake()).await;
    assert_eq!(client.post("/echo", &fits).await.body, fits);
    client.send(post("/echo", &large)).await;
    let response = client.response().await;
    assert_eq!((response.status, &*response.body), (413, r#"{"detail":"the request body is too large"}"#));
    assert_eq!(response.cookies(), ["fake=new"]);

    let mut chunked = Client::connect(running.fake()).await;
    chunked.send(format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n", large.len())).await;
    assert_eq!(chunked.response().await.status, 413);

    let mut chunked = Client::connect(running.fake()).await;
    chunked.send(format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{fits}\r\n0\r\n\r\n", fits.len())).await;
    assert_eq!(chunked.response().await.body, fits);

    // Whoever asks first sends nothing in vain.
    let mut asking = Client::connect(running.fake()).await;
    asking.send(format!("{head}expect: 100-continue\r\ncontent-length: 100001\r\n\r\n")).await;
    assert_eq!(asking.response().await.status, 413);
}

#[tokio::test]
async fn bodies_of_many_megabytes_arrive_whole() {
    let running = Running::new(HttpLimits::default()).await;
    let mut client = Client::connect(running.fake()).await;
    let body = format!("[{}0]", "12345678,".repeat(3 << 20));
    let response = client.post("/echo", &body).await;
    assert_eq!(response.status, 200);
    assert!(response.body == body);
}

#[tokio::test]
async fn large_and_many_headers_are_refused() {
    let running = Running::new(HttpLimits::default()).await;
    let long = "x".repeat(70 << 10);
    let mut client = Client::connect(running.fake()).await;
    client.send(format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {long}\r\n\r\n")).await;
    assert_eq!(client.response().await.status, 431);
    let many: String = (0..101).map(|number| format!("x-{number}: 1\r\n")).collect();
    let mut client = Client::connect(running.fake()).await;
    client.send(format!("GET / HTTP/1.1\r\n{many}\r\n")).await;
    assert_eq!(client.response().await.status, 431);
}

#[tokio::test]
async fn connections_beyond_the_cap_are_told_so() {
    let running = Running::new(HttpLimits { max_connections: 2, ..HttpLimits::default() }).await;
    let mut first = Client::connect(running.fake()).await;
    assert_eq!(first.post("/echo", "[1]").await.status, 200);
    let mut second = Client::connect(running.fake()).await;
    assert_eq!(second.post("/echo", "[1]").await.status, 200);
    for _ in 0..3 {
        let mut third = Client::connect(running.fake()).await;
        let response = third.post("/echo", "[1]").await;
        assert_eq!((response.status, &*response.body), (503, r#"{"detail":"too many connections"}"#));
        assert_eq!(response.header("retry-after"), Some("1"));
        assert!(third.is_closed().await);
    }
    assert_eq!(first.post("/echo", "[2]").await.status, 200);
    drop(second);
    // The place becomes free as soon as the server sees that the second client is gone.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut next = Client::connect(running.fake()).await;
        if next.post("/echo", "[1]").await.status == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "no place became free");
    }
    assert!(running.server.status()["connections"]["refused"].as_u64() >= Some(3));
}

#[tokio::test]
async fn bodies_wait_for_room_and_are_then_refused() {
    let limits = HttpLimits {
        max_body_bytes: 1 << 20,
        max_buffered_bytes: 1 << 20,
        buffer_wait: SHORT,
        ..HttpLimits::default()
    };
    let running = Running::new(limits).await;
    let large = format!("\"{}\"", "x".repeat(900_000));
    let mut holder = Client::connect(running.fake()).await;
    holder.send(post("/wait", &large)).await;
    running.watch.until(&running.watch.waiting, 1).await;

    let mut refused = Client::connect(running.fake()).await;
    refused.send(post("/echo", &large)).await;
    let response = refused.response().await;
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    // Small bodies need no room.
    let mut small = Client::connect(running.fake()).await;
    assert_eq!(small.post("/echo", "[1]").await.status, 200);

    running.watch.gate.add_permits(1);
    assert_eq!(holder.response().await.status, 200);
    assert_eq!(small.post("/echo", &large).await.status, 200);
}
