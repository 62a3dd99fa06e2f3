// SPDX-License-Identifier: Apache-2.0
//! Session cookies: names, signing, reading.
//!
//! A cookie is its own proof: 26 bytes of session data and a MAC over them, under a key that follows from a random
//! secret and the server's name. So a cookie of another server, or one that somebody made up, is no cookie at all.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gym_agents::{Cookie, Cookies};
use gym_protocol::ServerName;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How long clients keep a cookie, in seconds: 14 days, as NeMo Gym has it.
const MAX_AGE: u32 = 1_209_600;
const VERSION: u8 = 1;
const PAYLOAD: usize = 26;

/// The secret that session cookies are signed with. One for all servers of a host; keep it over a restart, so that a
/// client's old cookie is known for what it is.
#[derive(Clone)]
pub struct CookieKeys([u8; 32]);

impl CookieKeys {
    /// Keys from 32 random bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// New random keys.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self(secret))
    }
}

/// Identifies a session: 128 random bits.
pub(crate) type SessionId = u128;

/// What a cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The session.
    pub(crate) id: SessionId,
    /// The run of the host that issued the cookie.
    pub(crate) boot: u64,
    /// Whether the session had an instance with a memory of its own.
    pub(crate) stateful: bool,
}

/// Issues and reads the cookies of one server.
pub(crate) struct CookieJar {
    name: String,
    mac: Hmac<Sha256>,
    /// For tokens of MCP, so that a token is no cookie and a cookie no token.
    token_mac: Hmac<Sha256>,
}

impl CookieJar {
    /// `implementation` is the environment's name, for example `example_single_tool_call`.
    pub(crate) fn new(keys: &CookieKeys, implementation: &str, server: &ServerName) -> Self {
        let keyed = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        let derived = |purpose: &[u8]| {
            let mut derive = keyed(&keys.0);
            derive.update(purpose);
            derive.update(server.as_str().as_bytes());
            keyed(&derive.finalize().into_bytes())
        };
        Self {
            name: cookie_name(implementation, server),
            mac: derived(b"session cookie of "),
            token_mac: derived(b"MCP session token of "),
        }
    }

    /// The name of the cookie.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Name and value.
    pub(crate) fn issue(&self, ticket: &Ticket) -> Cookie {
        Cookie { name: self.name.clone(), value: sealed(ticket, &self.mac) }
    }

    /// What this server's cookie among `cookies` says; `None` if there is none that this server has issued.
    pub(crate) fn read(&self, cookies: &Cookies) -> Option<Ticket> {
        opened(cookies.get(&self.name)?, &self.mac)
    }

    /// The same session for clients of MCP, which send it in a header.
    pub(crate) fn token(&self, ticket: &Ticket) -> String {
        sealed(ticket, &self.token_mac)
    }

    /// What a token says; `None` if this server has not issued it.
    pub(crate) fn read_token(&self, token: &str) -> Option<Ticket> {
        opened(token, &self.token_mac)
    }
}

fn sealed(ticket: &Ticket, mac: &Hmac<Sha256>) -> String {
    let mut payload = [0; PAYLOAD];
    payload[0] = VERSION;
    payload[1..17].copy_from_slice(&ticket.id.to_be_bytes());
    payload[17..25].copy_from_slice(&ticket.boot.to_be_bytes());
    payload[25] = u8::from(ticket.stateful);
    let mac = mac.clone().chain_update(payload).finalize().into_bytes();
    let mut value = String::with_capacity(80);
    URL_SAFE_NO_PAD.encode_string(payload, &mut value);
    value.push('.');
    URL_SAFE_NO_PAD.encode_string(mac, &mut value);
    value
}

fn opened(value: &str, mac: &Hmac<Sha256>) -> Option<Ticket> {
    let (payload, code) = value.split_once('.')?;
    let payload: [u8; PAYLOAD] = URL_SAFE_NO_PAD.decode(payload).ok()?.try_into().ok()?;
    let code = URL_SAFE_NO_PAD.decode(code).ok()?;
    mac.clone().chain_update(payload).verify_slice(&code).ok()?;
    if payload[0] != VERSION {
        return None;
    }
    Some(Ticket {
        id: u128::from_be_bytes(payload[1..17].try_into().expect("16 bytes")),
        boot: u64::from_be_bytes(payload[17..25].try_into().expect("8 bytes")),
        stateful: payload[25] != 0,
    })
}

/// The value of a `Set-Cookie` header, with NeMo Gym's attributes.
pub(crate) fn set_cookie(cookie: &Cookie) -> String {
    format!("{}={}; path=/; Max-Age={MAX_AGE}; httponly; samesite=lax", cookie.name, cookie.value)
}

/// `<Implementation>ResourcesServer___<server>`: the form of NeMo Gym's names, which appear in some of its error texts.
/// Characters that a cookie's name may not have become `_`; clients only ever repeat the name.
fn cookie_name(implementation: &str, server: &ServerName) -> String {
    let mut name = String::new();
    for word in implementation.split(|character: char| !character.is_ascii_alphanumeric()) {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name.push_str("ResourcesServer___");
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    name.extend(server.as_str().chars().map(|character| if plain(character) { character } else { '_' }));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(secret: u8, server: &str) -> CookieJar {
        CookieJar::new(&CookieKeys::new([secret; 32]), "example_single_tool_call", &ServerName::new(server).unwrap())
    }

    fn sent(cookie: Cookie) -> Cookies {
        let mut cookies = Cookies::default();
        cookies.set(cookie);
        cookies
    }

    const TICKET: Ticket = Ticket { id: 7, boot: 9, stateful: true };

    #[test]
    fn names_look_like_those_of_nemo_gym() {
        assert_eq!(jar(1, "w").name(), "ExampleSingleToolCallResourcesServer___w");
        assert_eq!(cookie_name("a-b", &ServerName::new("x y;z").unwrap()), "ABResourcesServer___x_y_z");
    }

    #[test]
    fn a_cookie_is_read_by_the_server_that_issued_it() {
        let cookie = jar(1, "w").issue(&TICKET);
        assert_eq!(jar(1, "w").read(&sent(cookie.clone())), Some(TICKET));
        assert!(set_cookie(&cookie).ends_with("; path=/; Max-Age=1209600; httponly; samesite=lax"));
    }

    #[test]
    fn a_token_is_no_cookie_and_a_cookie_no_token() {
        let jar = jar(1, "w");
        assert_eq!(jar.read_token(&jar.token(&TICKET)), Some(TICKET));
        assert_eq!(jar.read_token(&jar.issue(&TICKET).value), None);
        let cookie = Cookie { name: jar.name().to_owned(), value: jar.token(&TICKET) };
        assert_eq!(jar.read(&sent(cookie)), None);
    }

    #[test]
    fn a_foreign_or_changed_cookie_is_none() {
        let cookie = jar(1, "w").issue(&TICKET);
        assert_eq!(jar(2, "w").read(&sent(cookie.clone())), None, "other secret");
        let renamed = Cookie { name: jar(1, "v").name().to_owned(), value: cookie.value.clone() };
        assert_eq!(jar(1, "v").read(&sent(renamed)), None, "other server");
        for at in 0..cookie.value.len() {
            let mut value = cookie.value.clone().into_bytes();
            value[at] = if value[at] == b'A' { b'B' } else { b'A' };
            let value = String::from_utf8(value).unwrap();
            let changed = jar(1, "w").read(&sent(Cookie { name: cookie.name.clone(), value }));
            assert_eq!(changed, None, "character {at}");
        }
        for value in ["", ".", "a.b", "eyJzZXNzaW9uX2lkIjogIngifQ==.aE7hgA.x"] {
            assert_eq!(jar(1, "w").read(&sent(Cookie { name: cookie.name.clone(), value: value.into() })), None);
        }
    }
}
