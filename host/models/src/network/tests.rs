// SPDX-License-Identifier: Apache-2.0
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use super::*;

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn get(path: &str) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), path: path.to_owned(), headers: Vec::new(), body: Default::default() }
}

/// Answers one request with this text, and returns what was asked.
async fn answer_once(listener: TcpListener, answer: String) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; 4096];
    let read = stream.read(&mut request).await.unwrap();
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8_lossy(&request[..read]).into_owned()
}

#[tokio::test]
async fn a_request_goes_to_the_granted_address_with_its_headers() {
    let (listener, url) = listener().await;
    let endpoints = json!({"env": {"url": format!("{url}/base/"), "headers": {"authorization": "Bearer k"}}});
    let endpoints = Endpoints::from_json(&endpoints).unwrap();
    let server =
        tokio::spawn(answer_once(listener, "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 2\r\n\r\nhi".into()));
    let mut request = get("/reset?seed=1");
    request.headers = vec![
        ("authorization".to_owned(), "Bearer own".to_owned()),
        ("host".to_owned(), "elsewhere".to_owned()),
        ("x-mine".to_owned(), "1".to_owned()),
    ];
    let reply = endpoints.exchange("env", request, 100).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (302, &b"hi"[..]), "redirects are not followed");
    let asked = server.await.unwrap();
    assert!(asked.starts_with("GET /base/reset?seed=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer k\r\n") && asked.contains("x-mine: 1\r\n"), "{asked}");
    assert!(!asked.contains("elsewhere") && !asked.contains("Bearer own"), "{asked}");
}

#[tokio::test]
async fn every_request_has_a_connection_of_its_own() {
    let (listener, url) = listener().await;
    let endpoints = Endpoints::from_json(&json!({"env": url})).unwrap();
    let server = tokio::spawn(async move {
        // The first connection stays open, as one to be used again would.
        let mut held = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
            held.push(stream);
        }
    });
    for _ in 0..2 {
        assert_eq!(endpoints.exchange("env", get("/step"), 1_000).await.unwrap().status, 500);
    }
    server.await.unwrap();
}

#[tokio::test]
async fn nothing_else_can_be_reached() {
    let endpoints = Endpoints::from_json(&json!({"env": "http://127.0.0.1:1/base"})).unwrap();
    let unknown = endpoints.exchange("other", get("/"), 100).await.unwrap_err();
    assert_eq!(unknown, NetworkError::UnknownEndpoint("other".to_owned()));
    for path in ["@elsewhere/", ".elsewhere", ":2/", "/../x", "/%2e%2e/x", "http://elsewhere/", "x"] {
        let error = endpoints.exchange("env", get(path), 100).await.unwrap_err();
        assert!(error.to_string().contains("is no path below endpoint"), "{path}: {error}");
    }
    let closed = endpoints.exchange("env", get("/"), 100).await.unwrap_err();
    assert_eq!(closed.to_string(), "endpoint `env` cannot be reached");
}

#[tokio::test]
async fn large_answers_are_cut_off() {
    let (listener, url) = listener().await;
    let endpoints = Endpoints::from_json(&json!({"env": url})).unwrap();
    tokio::spawn(answer_once(listener, format!("HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n{}", "x".repeat(200))));
    let error = endpoints.exchange("env", get("/"), 100).await.unwrap_err();
    assert_eq!(error, NetworkError::TooLarge { endpoint: "env".to_owned(), most: 100 });
}

#[tokio::test]
async fn messages_go_both_ways_until_the_other_side_closes() {
    let (listener, url) = listener().await;
    let endpoints = Endpoints::from_json(&json!({"env": url.replace("http", "ws")})).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        let text = socket.next().await.unwrap().unwrap().into_text().unwrap();
        futures_util::SinkExt::send(&mut socket, Message::Ping(Default::default())).await.unwrap();
        futures_util::SinkExt::send(&mut socket, Message::text(format!("{text}!"))).await.unwrap();
        socket.close(None).await.unwrap();
    });
    let mut channel = endpoints.open("env", "/ws", 100).await.unwrap();
    channel.send("hello".to_owned()).await.unwrap();
    assert_eq!(channel.receive().await.unwrap().as_deref(), Some("hello!"));
    assert_eq!(channel.receive().await.unwrap(), None);
}

#[tokio::test]
async fn pings_are_answered_while_the_environment_says_nothing() {
    let (listener, url) = listener().await;
    let endpoints = Endpoints::from_json(&json!({"env": url})).unwrap();
    let peer = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        futures_util::SinkExt::send(&mut socket, Message::Ping(b"there?"[..].into())).await.unwrap();
        socket.next().await.unwrap().unwrap()
    });
    let _silent = endpoints.open("env", "/ws", 100).await.unwrap();
    assert_eq!(peer.await.unwrap(), Message::Pong(b"there?"[..].into()));
}

#[tokio::test]
async fn a_connection_that_breaks_is_no_orderly_end() {
    let (listener, url) = listener().await;
    let endpoints = Endpoints::from_json(&json!({"env": url})).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        drop(accept_async(stream).await.unwrap());
    });
    let mut channel = endpoints.open("env", "", 100).await.unwrap();
    let error = channel.receive().await.unwrap_err();
    assert_eq!(error.to_string(), "endpoint `env` broke off the channel");
    let error = channel.send("more".to_owned()).await.unwrap_err();
    assert_eq!(error.to_string(), "endpoint `env` broke off the channel");
}

#[tokio::test]
async fn large_messages_and_binary_ones_are_errors() {
    for (message, expected) in [
        (Message::text("x".repeat(101)), "a message from endpoint `env` is larger than 100 bytes"),
        (Message::binary(vec![1]), "endpoint `env` sent a message that is not text"),
    ] {
        let (listener, url) = listener().await;
        let endpoints = Endpoints::from_json(&json!({"env": url})).unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_async(stream).await.unwrap();
            futures_util::SinkExt::send(&mut socket, message).await.unwrap();
            socket.next().await
        });
        let mut channel = endpoints.open("env", "", 100).await.unwrap();
        assert_eq!(channel.receive().await.unwrap_err().to_string(), expected);
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_websocket_is_unavailable() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: no\r\n\r\n",
    ] {
        let (listener, url) = listener().await;
        let endpoints = Endpoints::from_json(&json!({"env": url})).unwrap();
        tokio::spawn(answer_once(listener, answer.to_owned()));
        let error = endpoints.open("env", "/ws", 100).await.err().unwrap();
        assert!(error.to_string().starts_with("endpoint `env` does not open a WebSocket"), "{error}");
    }
}

#[test]
fn endpoints_that_cannot_work_are_named() {
    for (endpoints, expected) in [
        (json!({"env": "ftp://x"}), "endpoint `env`: `ftp://x` is no URL"),
        (json!({"env": "http://user@x"}), "endpoint `env`: `http://user@x` is no URL"),
        (
            json!({"env": {"url": "http://x", "headers": {"a b": "c"}}}),
            "endpoint `env`: the header `a b` cannot be sent",
        ),
        (json!({"env": {"url": "http://x", "header": {}}}), "`endpoints` must be a map"),
        (json!([]), "`endpoints` must be a map"),
    ] {
        let error = Endpoints::from_json(&endpoints).err().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
