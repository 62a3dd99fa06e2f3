// SPDX-License-Identifier: Apache-2.0
//! A client that sends exactly the bytes it is told to.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// No test waits longer than this for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `name=value` of all cookies that are set.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
            .map(|(_, value)| value.split(';').next().unwrap())
            .collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), unread: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends and minds no error: the other side may have closed already.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        self.response().await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Response {
        self.send(post(path, body)).await;
        self.response().await
    }

    /// The next response.
    pub(crate) async fn response(&mut self) -> Response {
        timeout(PATIENCE, self.read_response()).await.expect("an answer in time").expect("an answer")
    }

    /// The next response, or `None` when the connection is closed instead.
    pub(crate) async fn response_or_close(&mut self) -> Option<Response> {
        timeout(PATIENCE, self.read_response()).await.expect("an end in time")
    }

    /// Whether the server has closed the connection without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        !timeout(PATIENCE, self.fill()).await.expect("an end in time")
    }

    /// Waits until `text` has come, and leaves it to be read.
    pub(crate) async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.unread).contains(text) {
            assert!(timeout(PATIENCE, self.fill()).await.expect("more in time"), "closed before `{text}`");
        }
    }

    async fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                true
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Some(String::from_utf8(line[..end].to_vec()).unwrap());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.unread.drain(..count).collect())
    }

    async fn read_response(&mut self) -> Option<Response> {
        let status = self.line().await?.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut response = Response { status, headers, body: String::new() };
        let body = match response.header("content-length") {
            Some(length) => self.exactly(length.parse().unwrap()).await?,
            None if response.header("transfer-encoding") == Some("chunked") => {
                let mut body = Vec::new();
                loop {
                    let size = usize::from_str_radix(&self.line().await?, 16).unwrap();
                    body.extend(self.exactly(size).await?);
                    self.line().await?;
                    if size == 0 {
                        break body;
                    }
                }
            }
            None => Vec::new(),
        };
        response.body = String::from_utf8(body).unwrap();
        Some(response)
    }
}

/// A whole request.
pub(crate) fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
