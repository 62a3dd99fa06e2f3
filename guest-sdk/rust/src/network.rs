// SPDX-License-Identifier: Apache-2.0
//! Connections to endpoints that the server's configuration grants.

use std::fmt;

use crate::failure::{Failure, Fault};

/// An HTTP request to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// For example `POST`.
    pub method: String,
    /// What follows the endpoint's URL, for example `/reset`, with the query.
    pub path: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// A GET request.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET".to_owned(), path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// A POST request with a JSON body.
    pub fn post_json(path: impl Into<String>, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { method: "POST".to_owned(), path: path.into(), headers, body: body.to_string().into_bytes() }
    }
}

/// The answer to an HTTP request, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReply {
    /// HTTP status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// Why an endpoint gave no answer. `?` makes a [`Fault`] of it, which the host counts as one of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkFailure {
    /// The configuration grants no endpoint of that name.
    UnknownEndpoint(String),
    /// Nobody answers: unreachable, broken off, or too slow.
    Unavailable(String),
    /// A message is larger than allowed.
    TooLarge(String),
    /// The session has exchanged as many messages, or holds as many channels, as it may.
    UsedUp(String),
}

impl fmt::Display for NetworkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::UnknownEndpoint(text) | Self::Unavailable(text) | Self::TooLarge(text) | Self::UsedUp(text)) = self;
        f.write_str(text)
    }
}

impl From<NetworkFailure> for Fault {
    fn from(failure: NetworkFailure) -> Self {
        Self::new(failure.to_string())
    }
}

impl From<NetworkFailure> for Failure {
    fn from(failure: NetworkFailure) -> Self {
        Self::Fault(failure.into())
    }
}

/// One end of a WebSocket: what a [`Channel`] is made of. The host has one kind, tests another.
pub trait ChannelEnd {
    /// Sends a text message.
    fn send(&mut self, text: &str) -> Result<(), NetworkFailure>;

    /// Waits for the next text message; `None` if the other side has closed.
    fn receive(&mut self) -> Result<Option<String>, NetworkFailure>;
}

/// A WebSocket connection to an endpoint. It is closed when it is dropped, and with the session.
pub struct Channel(Box<dyn ChannelEnd>);

impl Channel {
    /// A channel over this end.
    pub fn new(end: impl ChannelEnd + 'static) -> Self {
        Self(Box::new(end))
    }

    /// A channel over a boxed end.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn over(end: Box<dyn ChannelEnd>) -> Self {
        Self(end)
    }

    /// Sends a text message.
    pub fn send(&mut self, text: &str) -> Result<(), NetworkFailure> {
        self.0.send(text)
    }

    /// Waits for the next text message; `None` if the other side has closed.
    pub fn receive(&mut self) -> Result<Option<String>, NetworkFailure> {
        self.0.receive()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}
