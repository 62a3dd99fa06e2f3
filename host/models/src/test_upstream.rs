// SPDX-License-Identifier: Apache-2.0
//! An HTTP server for tests, on loopback, that behaves as badly as it is told to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers: status, extra header lines, body.
    Answer(u16, &'static str, String),
    /// Closes the connection without an answer.
    Reset,
    /// Never answers.
    Hang,
    /// Sends the head and then one byte of the body at a time, this far apart, without end.
    Drip(Duration),
    /// Sends half of the body that it promised and closes.
    Half,
    /// Sends something that is not HTTP.
    NotHttp,
    /// Sends these chunks as an event stream, and then closes, or hangs if told so.
    Events(Vec<&'static str>, bool),
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    /// The header lines, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

/// The server; it ends with the runtime of its test.
pub(crate) struct TestUpstream {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    closed: Arc<tokio::sync::Notify>,
}

impl TestUpstream {
    /// Plays `acts`, one for each request; the last one repeats.
    pub(crate) async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let closed = Arc::new(tokio::sync::Notify::new());
        let acts = Arc::new(Mutex::new(VecDeque::from(acts)));
        let (log, gone) = (Arc::clone(&seen), Arc::clone(&closed));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&acts), Arc::clone(&log), Arc::clone(&gone)));
            }
        });
        Self { url, seen, closed }
    }

    /// A JSON answer.
    pub(crate) fn json(body: impl ToString) -> Act {
        Act::Answer(200, "content-type: application/json\r\n", body.to_string())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// Waits until a client closed its connection.
    pub(crate) async fn client_gone(&self) {
        self.closed.notified().await;
    }
}

async fn serve(
    mut stream: TcpStream,
    acts: Arc<Mutex<VecDeque<Act>>>,
    log: Arc<Mutex<Vec<Seen>>>,
    gone: Arc<tokio::sync::Notify>,
) {
    let mut buffer = Vec::new();
    loop {
        let Some(seen) = read_request(&mut stream, &mut buffer).await else {
            gone.notify_one();
            return;
        };
        log.lock().push(seen);
        let act = {
            let mut acts = acts.lock();
            if acts.len() > 1 { acts.pop_front().expect("two") } else { acts[0].clone() }
        };
        match act {
            Act::Answer(status, headers, body) => {
                let text = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::Reset => return,
            Act::NotHttp => {
                stream.write_all(b"\x00\x01 what is this\r\n\r\n").await.ok();
                return;
            }
            Act::Half => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":").await.ok();
                return;
            }
            Act::Hang => {
                hang(&mut stream).await;
                gone.notify_one();
                return;
            }
            Act::Drip(every) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await.ok();
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(every).await;
                }
                return;
            }
            Act::Events(chunks, hangs) => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await.ok();
                for chunk in chunks {
                    let text = format!("{:x}\r\n{chunk}\r\n", chunk.len());
                    stream.write_all(text.as_bytes()).await.ok();
                }
                if hangs {
                    hang(&mut stream).await;
                    gone.notify_one();
                    return;
                }
                stream.write_all(b"0\r\n\r\n").await.ok();
            }
        }
    }
}

/// Waits until the client goes away.
async fn hang(stream: &mut TcpStream) {
    let mut rest = [0; 64];
    while !matches!(stream.read(&mut rest).await, Ok(0) | Err(_)) {}
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
            let mut lines = head.lines();
            let path = lines.next()?.split(' ').nth(1)?.to_owned();
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length =
                headers.iter().find(|(name, _)| name == "content-length").map_or(Ok(0), |(_, n)| n.parse::<usize>());
            let length = length.ok()?;
            while buffer.len() < end + 4 + length {
                if stream.read_buf(buffer).await.ok()? == 0 {
                    return None;
                }
            }
            let body = String::from_utf8(buffer[end + 4..end + 4 + length].to_vec()).ok()?;
            buffer.drain(..end + 4 + length);
            return Some(Seen { path, headers, body });
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// A URL that refuses connections.
pub(crate) async fn refused() -> String {
    // Bound but not listening, to the end of the process: nobody else gets the port meanwhile.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("loopback");
    let url = format!("http://{}", socket.local_addr().expect("an address"));
    std::mem::forget(socket);
    url
}
