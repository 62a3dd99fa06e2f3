// SPDX-License-Identifier: Apache-2.0
//! The port to connections that a server's configuration grants to its environment.

use async_trait::async_trait;
use bytes::Bytes;

/// An HTTP request to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// For example `POST`.
    pub method: String,
    /// What follows the endpoint's URL, with the query.
    pub path: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

/// The answer to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReply {
    /// HTTP status.
    pub status: u16,
    /// Names and values; values that are not text are left out.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

/// Why there is no answer. The texts are for records and for whoever wrote the environment: no addresses, no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No endpoint of that name is granted.
    #[error("the configuration grants no endpoint `{0}`")]
    UnknownEndpoint(String),
    /// Nobody answers.
    #[error("{0}")]
    Unavailable(String),
    /// A message is larger than allowed.
    #[error("a message from endpoint `{endpoint}` is larger than {most} bytes")]
    TooLarge {
        /// Name of the endpoint.
        endpoint: String,
        /// What is allowed.
        most: usize,
    },
}

/// The endpoints that are granted to one server. Dropping a future ends what it does.
#[async_trait]
pub trait Network: Send + Sync {
    /// Sends one request and reads the answer, of at most `most` bytes.
    async fn exchange(&self, endpoint: &str, request: HttpRequest, most: usize) -> Result<HttpReply, NetworkError>;

    /// Opens a WebSocket whose messages have at most `most` bytes.
    async fn open(&self, endpoint: &str, path: &str, most: usize) -> Result<Box<dyn NetworkChannel>, NetworkError>;
}

/// An open WebSocket. It is closed when it is dropped.
#[async_trait]
pub trait NetworkChannel: Send {
    /// Sends a text message.
    async fn send(&mut self, text: String) -> Result<(), NetworkError>;

    /// The next text message; `None` if the other side closed.
    async fn receive(&mut self) -> Result<Option<String>, NetworkError>;
}

/// Grants nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNetwork;

#[async_trait]
impl Network for NoNetwork {
    async fn exchange(&self, endpoint: &str, _request: HttpRequest, _most: usize) -> Result<HttpReply, NetworkError> {
        Err(NetworkError::UnknownEndpoint(endpoint.to_owned()))
    }

    async fn open(&self, endpoint: &str, _path: &str, _most: usize) -> Result<Box<dyn NetworkChannel>, NetworkError> {
        Err(NetworkError::UnknownEndpoint(endpoint.to_owned()))
    }
}
