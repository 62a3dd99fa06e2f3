// SPDX-License-Identifier: Apache-2.0
//! The functions of `wit/network.wit`: connections that a server's configuration grants.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gym_agents::network::{HttpRequest, NetworkChannel, NetworkError};
use gym_protocol::{Fault, FaultKind};
use tracing::Instrument;
use wasmtime::component::Resource;

use crate::{
    bindings::gym::environment::network::{self, Host, HostChannel, HttpReply, NetworkFailure},
    imports::AbortOnDrop,
    meter,
    state::State,
};

/// A guest's handle of a WebSocket.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Channel {
    endpoint: String,
    /// Gone once something went wrong, and while an abandoned call holds it.
    open: Option<Box<dyn NetworkChannel>>,
}

/// What one instance did with the network.
#[derive(Default)]
pub(crate) struct NetworkUse {
    /// Messages of the session, in both directions; an HTTP exchange is two.
    messages: u64,
    /// Channels that are held.
    channels: usize,
    /// Waited in the running call.
    waited: Duration,
    /// What last went wrong in the running call: a fault that the environment then reports is not its own.
    failed: Option<String>,
}

impl NetworkUse {
    pub(crate) fn begin_call(&mut self) {
        self.waited = Duration::ZERO;
        self.failed = None;
    }

    /// The counters of a session that begins in an instance which has served others.
    pub(crate) fn forget_earlier_calls(&mut self) {
        self.messages = 0;
    }

    /// What the environment's fault amounts to: that of the network if that failed in the same call.
    pub(crate) fn blame(&self, fault: Fault) -> Fault {
        match &self.failed {
            Some(_) if fault.kind == FaultKind::Reported => Fault { kind: FaultKind::Unreachable, ..fault },
            _ => fault,
        }
    }
}

impl State {
    /// Waits for the network, within what is left of the call's time for it.
    async fn wait<T: Send + 'static>(
        &mut self,
        endpoint: &str,
        work: impl Future<Output = Result<T, NetworkError>> + Send + 'static,
    ) -> Result<T, NetworkFailure> {
        let budget = self.settings.limits.network_wait_ms;
        let left = Duration::from_millis(budget).saturating_sub(self.network.waited);
        self.turn.leave();
        // A task of its own: what the client computes is not the guest's CPU time.
        let mut task = AbortOnDrop(tokio::spawn(work.in_current_span()));
        let began = Instant::now();
        let outcome = tokio::time::timeout(left, &mut task.0).await;
        self.network.waited += began.elapsed();
        self.turn.back(meter::spent()).await;
        let failure = match outcome {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(error))) => {
                let text = error.to_string();
                match error {
                    NetworkError::UnknownEndpoint(_) => return Err(NetworkFailure::UnknownEndpoint(text)),
                    NetworkError::Unavailable(_) => NetworkFailure::Unavailable(text),
                    NetworkError::TooLarge { .. } => NetworkFailure::TooLarge(text),
                }
            }
            Ok(Err(error)) => {
                tracing::error!(%error, server = %self.settings.server, "a request to an endpoint panicked");
                NetworkFailure::Unavailable(format!("the request to endpoint `{endpoint}` failed"))
            }
            Err(_) => NetworkFailure::Unavailable(format!(
                "endpoint `{endpoint}` did not answer within the call's {budget} ms for the network"
            )),
        };
        if let NetworkFailure::Unavailable(text) | NetworkFailure::TooLarge(text) = &failure {
            tracing::warn!(server = %self.settings.server, endpoint, "{text}");
            self.network.failed = Some(text.clone());
        }
        Err(failure)
    }

    /// Counts messages of the session.
    fn count(&mut self, messages: u64) -> Result<(), NetworkFailure> {
        let most = self.settings.limits.network_messages;
        if self.network.messages.saturating_add(messages) > most {
            return Err(NetworkFailure::UsedUp(format!("the session has exchanged its {most} messages")));
        }
        self.network.messages += messages;
        Ok(())
    }

    fn fits(&self, endpoint: &str, bytes: usize) -> Result<(), NetworkFailure> {
        let most = self.settings.limits.network_message_bytes;
        if bytes <= most {
            return Ok(());
        }
        Err(NetworkFailure::TooLarge(format!("a message to endpoint `{endpoint}` is larger than {most} bytes")))
    }
}

impl Host for State {
    async fn exchange(
        &mut self,
        endpoint: String,
        request: network::HttpRequest,
    ) -> wasmtime::Result<Result<HttpReply, NetworkFailure>> {
        let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let bytes = endpoint.len() + request.path.len() + headers + request.body.len();
        self.charge(bytes)?;
        if let Err(failure) = self.fits(&endpoint, bytes).and_then(|()| self.count(2)) {
            return Ok(Err(failure));
        }
        let (network, most) = (self.settings.network.clone(), self.settings.limits.network_message_bytes);
        let request = HttpRequest {
            method: request.method,
            path: request.path,
            headers: request.headers,
            body: Bytes::from(request.body),
        };
        let name = endpoint.clone();
        let outcome = self.wait(&endpoint, async move { network.exchange(&name, request, most).await }).await;
        Ok(match outcome {
            Err(failure) => Err(failure),
            Ok(reply) => {
                self.charge_bytes(reply.body.len())?;
                Ok(HttpReply { status: reply.status, headers: reply.headers, body: reply.body.into() })
            }
        })
    }
}

impl HostChannel for State {
    async fn open(
        &mut self,
        endpoint: String,
        path: String,
    ) -> wasmtime::Result<Result<Resource<Channel>, NetworkFailure>> {
        self.charge(endpoint.len() + path.len())?;
        let most = self.settings.limits.network_channels;
        if self.network.channels >= most {
            return Ok(Err(NetworkFailure::UsedUp(format!("the session holds its {most} channels already"))));
        }
        if let Err(failure) = self.fits(&endpoint, path.len()).and_then(|()| self.count(1)) {
            return Ok(Err(failure));
        }
        let (network, most) = (self.settings.network.clone(), self.settings.limits.network_message_bytes);
        let name = endpoint.clone();
        let outcome = self.wait(&endpoint, async move { network.open(&name, &path, most).await }).await;
        Ok(match outcome {
            Err(failure) => Err(failure),
            Ok(open) => {
                let channel = self.table.push(Channel { endpoint, open: Some(open) })?;
                self.network.channels += 1;
                Ok(channel)
            }
        })
    }

    async fn send(&mut self, channel: Resource<Channel>, text: String) -> wasmtime::Result<Result<(), NetworkFailure>> {
        self.charge(text.len())?;
        let handle = self.table.get_mut(&channel)?;
        let endpoint = handle.endpoint.clone();
        if let Err(failure) = self.fits(&endpoint, text.len()).and_then(|()| self.count(1)) {
            self.table.get_mut(&channel)?.open = None;
            return Ok(Err(failure));
        }
        self.with_channel(&channel, endpoint, |mut open| async move {
            open.send(text).await?;
            Ok((open, ()))
        })
        .await
    }

    async fn receive(
        &mut self,
        channel: Resource<Channel>,
    ) -> wasmtime::Result<Result<Option<String>, NetworkFailure>> {
        self.charge(0)?;
        let endpoint = self.table.get(&channel)?.endpoint.clone();
        if let Err(failure) = self.count(1) {
            return Ok(Err(failure));
        }
        let outcome = self
            .with_channel(&channel, endpoint, |mut open| async move {
                let text = open.receive().await?;
                Ok((open, text))
            })
            .await?;
        if let Ok(Some(text)) = &outcome {
            self.charge_bytes(text.len())?;
        }
        Ok(outcome)
    }

    async fn drop(&mut self, channel: Resource<Channel>) -> wasmtime::Result<()> {
        self.table.delete(channel)?;
        self.network.channels = self.network.channels.saturating_sub(1);
        Ok(())
    }
}

impl State {
    /// Does something with an open channel. It stays open only if that succeeds.
    async fn with_channel<T, F>(
        &mut self,
        channel: &Resource<Channel>,
        endpoint: String,
        work: impl FnOnce(Box<dyn NetworkChannel>) -> F,
    ) -> wasmtime::Result<Result<T, NetworkFailure>>
    where
        T: Send + 'static,
        F: Future<Output = Result<(Box<dyn NetworkChannel>, T), NetworkError>> + Send + 'static,
    {
        let Some(open) = self.table.get_mut(channel)?.open.take() else {
            let text = format!("the channel to endpoint `{endpoint}` is closed");
            self.network.failed = Some(text.clone());
            return Ok(Err(NetworkFailure::Unavailable(text)));
        };
        Ok(match self.wait(&endpoint, work(open)).await {
            Err(failure) => Err(failure),
            Ok((open, value)) => {
                self.table.get_mut(channel)?.open = Some(open);
                Ok(value)
            }
        })
    }
}
