// SPDX-License-Identifier: Apache-2.0
//! A WebSocket over the HTTP client: its TLS and its proxies serve here too.

use async_trait::async_trait;
use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _, stream::SplitStream};
use gym_agents::network::{NetworkChannel, NetworkError};
use http::{StatusCode, header};
use reqwest::{RequestBuilder, Upgraded};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use tracing::Instrument as _;

use super::unavailable;

/// Messages that wait for the environment. What comes after them stays on the wire.
const WAITING: usize = 2;

/// A message to be sent, and who wants to know what came of it.
type Outgoing = (String, oneshot::Sender<Result<(), NetworkError>>);

/// An open connection. A task of its own serves it, so that the other side's pings are answered while the environment
/// has nothing to say: servers give up clients that do not answer.
pub(super) struct Channel {
    endpoint: String,
    outgoing: mpsc::Sender<Outgoing>,
    incoming: mpsc::Receiver<Result<String, NetworkError>>,
    task: JoinHandle<()>,
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Asks for an upgrade and checks that the other side speaks WebSocket (RFC 6455, section 4.1).
pub(super) async fn open(endpoint: &str, request: RequestBuilder, most: usize) -> Result<Channel, NetworkError> {
    let key = base64::engine::general_purpose::STANDARD.encode(uuid::Uuid::new_v4().as_bytes());
    let request = request
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key);
    let response = request.send().await.map_err(|error| unavailable(endpoint, &error))?;
    let status = response.status();
    let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
    if status != StatusCode::SWITCHING_PROTOCOLS
        || accepted.is_none_or(|accepted| *accepted != derive_accept_key(key.as_bytes()))
    {
        let text =
            format!("endpoint `{endpoint}` does not open a WebSocket: it answered with status {}", status.as_u16());
        return Err(NetworkError::Unavailable(text));
    }
    let upgraded = response.upgrade().await.map_err(|error| unavailable(endpoint, &error))?;
    let config = WebSocketConfig::default().max_message_size(Some(most)).max_frame_size(Some(most));
    let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
    let (outgoing, to_send) = mpsc::channel(1);
    let (received, incoming) = mpsc::channel(WAITING);
    let peer = Peer { endpoint: endpoint.to_owned(), most };
    let task = tokio::spawn(peer.serve(stream, to_send, received).in_current_span());
    Ok(Channel { endpoint: endpoint.to_owned(), outgoing, incoming, task })
}

#[async_trait]
impl NetworkChannel for Channel {
    async fn send(&mut self, text: String) -> Result<(), NetworkError> {
        let (told, outcome) = oneshot::channel();
        let gone = || broken_off(&self.endpoint);
        self.outgoing.send((text, told)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    async fn receive(&mut self) -> Result<Option<String>, NetworkError> {
        self.incoming.recv().await.transpose()
    }
}

fn broken_off(endpoint: &str) -> NetworkError {
    NetworkError::Unavailable(format!("endpoint `{endpoint}` broke off the channel"))
}

/// The other side of a channel.
struct Peer {
    endpoint: String,
    most: usize,
}

impl Peer {
    /// Sends and receives until the connection ends.
    async fn serve(
        self,
        stream: WebSocketStream<Upgraded>,
        mut to_send: mpsc::Receiver<Outgoing>,
        received: mpsc::Sender<Result<String, NetworkError>>,
    ) {
        let (mut sink, mut source) = stream.split();
        let sending = async {
            while let Some((text, told)) = to_send.recv().await {
                let outcome = sink.send(Message::text(text)).await.map_err(|error| self.failed(&error));
                if told.send(outcome).is_err() {
                    return;
                }
            }
        };
        // The sender goes when there is nothing more to come: that is what the environment notices.
        let reading = async {
            let received = received;
            while let Ok(room) = received.reserve().await {
                match self.next(&mut source).await.transpose() {
                    Some(Ok(text)) => room.send(Ok(text)),
                    Some(Err(error)) => return room.send(Err(error)),
                    None => return,
                }
            }
        };
        tokio::join!(sending, reading);
    }

    async fn next(&self, source: &mut SplitStream<WebSocketStream<Upgraded>>) -> Result<Option<String>, NetworkError> {
        loop {
            match source.next().await {
                None | Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed)) => return Ok(None),
                Some(Ok(Message::Text(text))) => return Ok(Some(text.as_str().to_owned())),
                Some(Ok(Message::Binary(_))) => {
                    let text = format!("endpoint `{}` sent a message that is not text", self.endpoint);
                    return Err(NetworkError::Unavailable(text));
                }
                // The library answers pings itself, when it is asked for the next message.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(self.failed(&error)),
            }
        }
    }

    fn failed(&self, error: &Error) -> NetworkError {
        if matches!(error, Error::Capacity(_)) {
            return NetworkError::TooLarge { endpoint: self.endpoint.clone(), most: self.most };
        }
        tracing::debug!(endpoint = self.endpoint, ?error, "a channel failed");
        broken_off(&self.endpoint)
    }
}
