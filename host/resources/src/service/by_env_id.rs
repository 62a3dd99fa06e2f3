// SPDX-License-Identifier: Apache-2.0
//! Sessions that are known by an id of the environment (`env_id`) in place of a cookie: Aviary's dialect.
//!
//! An environment speaks it if it has a tool `step` that takes `env_id`. Every `/seed_session` then begins a session of
//! its own, whatever cookie came with it, and `env_id` of its reply is the session's id. `/step` and `/close` name the
//! session by it, `/verify` by `response.env_id`.

use std::sync::Arc;

use gym_protocol::{Fault, Members, Raw, environment::Lifetime, scan};
use uuid::Uuid;

use super::{Caller, Server};
use crate::{
    cookie::Ticket,
    sessions::{IfGone, Sessions},
};

/// The member with the id.
const ENV_ID: &str = "env_id";

impl Server {
    /// Makes the caller somebody new, for a seed.
    pub(super) fn begin_by_env_id(&self, caller: &mut Caller) {
        if self.compiled.known_by_env_id {
            caller.ticket = self.new_ticket();
        }
    }

    /// The seed's reply with the id of the session.
    pub(super) fn with_env_id(&self, reply: Raw, caller: &Caller) -> Raw {
        if !self.compiled.known_by_env_id {
            return reply;
        }
        let mut members: Members = reply.members().unwrap_or_default();
        members.set(ENV_ID, Raw::from_value(&Uuid::from_u128(caller.ticket.id).to_string()));
        members.to_raw()
    }

    /// Makes the caller the one whose session the arguments of a tool name, and tells where the call runs. An id that
    /// is not known (any more) has no session: such a call runs in an instance of its own, where the environment can
    /// say so.
    pub(super) fn lifetime_by_env_id(self: &Arc<Self>, arguments: &str, caller: &mut Caller) -> Lifetime {
        let lifetime = self.environment.description().tools_run_in;
        if !self.compiled.known_by_env_id || lifetime != Lifetime::Session {
            return lifetime;
        }
        match self.ticket_of(scan::member(arguments.as_bytes(), ENV_ID)) {
            Some(ticket) if self.sessions.find(ticket.id).is_some() => {
                caller.ticket = ticket;
                lifetime
            }
            _ => Lifetime::Call,
        }
    }

    /// Makes the caller the one whose session a response names. A fault says why there is no such session.
    pub(super) fn find_by_env_id(self: &Arc<Self>, response: &[u8], caller: &mut Caller) -> Result<(), Fault> {
        if !self.compiled.known_by_env_id {
            return Ok(());
        }
        let Some(env_id) = scan::member(response, ENV_ID) else { return Ok(()) };
        // An id that nobody has given out is treated as that of a session that is gone.
        let ticket = self.ticket_of(Some(env_id)).unwrap_or_else(|| Ticket { stateful: true, ..self.new_ticket() });
        Sessions::enter(&self.sessions, &ticket, IfGone::Tell)?;
        caller.ticket = ticket;
        Ok(())
    }

    /// What the cookie of that session would say.
    fn ticket_of(&self, env_id: Option<&[u8]>) -> Option<Ticket> {
        let id = Uuid::parse_str(&scan::string(env_id?)?).ok()?.as_u128();
        Some(Ticket { id, boot: self.boot, stateful: true })
    }
}
