// SPDX-License-Identifier: Apache-2.0
//! Which values nobody should see, and how they are hidden.

use crate::node::{MISSING, Node, Value};
use std::collections::BTreeSet;

/// What stands in place of a secret.
pub(crate) const MASK: &str = "****";

/// Secrets shorter than this are not looked for inside other values: they would be found by chance.
const SEARCHED: usize = 6;

/// Whether values under this key are secrets: the key speaks of keys, tokens, secrets, passwords, credentials,
/// authorization or headers. Words are told apart by signs and by case, as in `clientSecret`.
pub fn is_secret_key(key: &str) -> bool {
    const WORDS: [&str; 19] = [
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "headers",
        "jwt",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pwd",
        "secret",
        "secrets",
        "token",
        "tokens",
    ];
    let words = words(key);
    let pairs = ["api_key", "private_key", "access_key", "signing_key", "encryption_key", "account_key"];
    let joined = words.join("_");
    words.iter().any(|word| WORDS.contains(&word.as_str()) || word.contains("apikey"))
        || pairs.iter().any(|pair| joined.contains(pair))
}

/// The words of a key, in lower case.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in key.chars() {
        if !c.is_alphanumeric() || (was_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().expect("there is always one").extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Hides the secrets of a tree: scalars under secret keys, also in lists and maps there, passwords and secret parameters
/// in URLs, texts that look like what goes into an `Authorization` header or begin as the keys of well-known services do,
/// and every other place where one of those texts occurs. An interpolation that only names another value stays: it shows nothing.
pub(crate) fn mask(root: &mut Node) {
    let mut found = BTreeSet::new();
    hide(root, Secret::No, &mut found);
    // The longest first, so that no part of one is left behind by another.
    let mut found: Vec<String> = found.into_iter().filter(|text| text.len() >= SEARCHED).collect();
    found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    if !found.is_empty() {
        hide_occurrences(root, &found);
    }
}

/// How much under a key is secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secret {
    No,
    /// Texts; numbers under such keys are counts of tokens.
    Texts,
    All,
}

fn secrecy(key: &str, above: Secret) -> Secret {
    match (above, is_secret_key(key)) {
        (Secret::No, false) => Secret::No,
        (Secret::No, true) if key.to_lowercase().contains("token") => Secret::Texts,
        (Secret::No, true) => Secret::All,
        (above, _) => above,
    }
}

fn hide(node: &mut Node, secret: Secret, found: &mut BTreeSet<String>) {
    match &mut node.value {
        Value::Text(text) if secret != Secret::No && !text.is_empty() && text != MISSING && !is_reference(text) => {
            found.insert(std::mem::replace(text, MASK.to_owned()));
        }
        Value::Text(text) => {
            if looks_secret(text) {
                found.insert(std::mem::replace(text, MASK.to_owned()));
                return;
            }
            if let Some((masked, password)) = without_password(text) {
                found.insert(password);
                *text = masked;
            }
            if let Some(masked) = without_secret_parameters(text, found) {
                *text = masked;
            }
        }
        Value::Int(_) | Value::Float(_) if secret == Secret::All => node.value = Value::Text(MASK.to_owned()),
        Value::List(items) => items.iter_mut().for_each(|item| hide(item, secret, found)),
        Value::Map(entries) => {
            for (key, value) in entries {
                hide(value, secrecy(key.as_str(), secret), found);
            }
        }
        _ => {}
    }
}

/// Whether a text is one interpolation that carries no value of its own, such as a default.
fn is_reference(text: &str) -> bool {
    text.strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|inner| !inner.contains(['$', '{', '}', ',', ' ']))
}

/// A URL with its password masked, and the password.
fn without_password(text: &str) -> Option<(String, String)> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (user, host) = authority.rsplit_once('@')?;
    let (name, password) = user.split_once(':')?;
    if password.is_empty() || password.starts_with("${") {
        return None;
    }
    let after = &rest[authority.len()..];
    Some((format!("{scheme}://{name}:{MASK}@{host}{after}"), password.to_owned()))
}

/// Whether a text is a secret whatever its key says.
fn looks_secret(text: &str) -> bool {
    const SCHEMES: [&str; 3] = ["Bearer ", "Basic ", "Token "];
    const PREFIXES: [&str; 9] = ["sk-", "hf_", "nvapi-", "ghp_", "github_pat_", "glpat-", "xoxb-", "AKIA", "gsk_"];
    // No key of these services is shorter, and words that begin in the same way are.
    const SHORTEST: usize = 16;
    let is_key = |rest: &str| {
        rest.len() >= SHORTEST && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let scheme = |scheme: &&str| {
        let rest =
            text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(|_| &text[scheme.len()..]);
        rest.is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().contains(' ') && !is_reference(rest.trim()))
    };
    SCHEMES.iter().any(scheme)
        || PREFIXES.iter().any(|prefix| text.strip_prefix(prefix).is_some_and(|rest| is_key(rest) && has_digit(rest)))
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// A URL with the values of the parameters masked whose names are those of secrets; `None` when it has none.
fn without_secret_parameters(text: &str, found: &mut BTreeSet<String>) -> Option<String> {
    let (address, query) = text.split_once('?').filter(|(address, _)| address.contains("://"))?;
    let (query, fragment) = query.find('#').map_or((query, ""), |at| query.split_at(at));
    let mut has_secret = false;
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, value))
            if !value.is_empty()
                && !value.starts_with("${")
                && (is_secret_key(name) || matches!(name, "key" | "sig" | "signature" | "code")) =>
        {
            has_secret = true;
            found.insert(value.to_owned());
            format!("{name}={MASK}")
        }
        _ => parameter.to_owned(),
    });
    let query = parameters.collect::<Vec<_>>().join("&");
    has_secret.then(|| format!("{address}?{query}{fragment}"))
}

fn hide_occurrences(node: &mut Node, found: &[String]) {
    match &mut node.value {
        Value::Text(text) => {
            for secret in found {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), MASK);
                }
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| hide_occurrences(item, found)),
        Value::Map(entries) => entries.values_mut().for_each(|value| hide_occurrences(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, read_yaml, writer::to_yaml};

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        for (text, expected) in [
            ("policy_api_key: sk-abcdef", "policy_api_key: '****'"),
            ("openai_api_key: ${policy_api_key}", "openai_api_key: ${policy_api_key}"),
            ("api_key: '${oc.env:KEY,sk-abcdef}'", "api_key: '****'"),
            ("api_key: '${oc.env:KEY}'", "api_key: '${oc.env:KEY}'"),
            ("hf_token: hf_1", "hf_token: '****'"),
            ("api_key: [sk-1, sk-2]", "api_key: ['****', '****']"),
            ("default_headers: {X-Any: abc}", "default_headers: {X-Any: '****'}"),
            ("Authorization: Bearer x", "Authorization: '****'"),
            ("password: 1234", "password: '****'"),
            ("max_output_tokens: 1234", "max_output_tokens: 1234"),
            ("return_token_id_information: true", "return_token_id_information: true"),
            ("tokenizer: my/model", "tokenizer: my/model"),
            ("u: http://me:pw@host/x", "u: http://me:****@host/x"),
            ("api_key: sk-abcdef\nu: http://h/?k=sk-abcdef", "api_key: '****'\nu: http://h/?k=****"),
            ("api_key: ''\nsecret: '???'\ntoken: null", "api_key: ''\nsecret: '???'\ntoken: null"),
            ("key: plain\nkeyboard: us", "key: plain\nkeyboard: us"),
            ("a: [{clientSecret: x, accessToken: y, n: 1}]", "a: [{clientSecret: '****', accessToken: '****', n: 1}]"),
            ("OPENAI_API_KEY: x\nazureApiKey: y", "OPENAI_API_KEY: '****'\nazureApiKey: '****'"),
            ("auth: none", "auth: '****'"),
            ("author: me\nmonkey_key: 1", "author: me\nmonkey_key: 1"),
            ("x: Bearer abc", "x: '****'"),
            ("x: Bearer of news\ny: Basic", "x: Bearer of news\ny: Basic"),
            ("x: 'Bearer ${policy_api_key}'", "x: 'Bearer ${policy_api_key}'"),
            ("model: sk-learn\nx: sk-proj-0123456789abcdef", "model: sk-learn\nx: '****'"),
            ("u: http://h/x?api_key=abc&n=1#f", "u: http://h/x?api_key=****&n=1#f"),
            ("u: http://h/x?sig=abcdefg\nv: is abcdefg", "u: http://h/x?sig=****\nv: is ****"),
            ("u: what?key=this", "u: what?key=this"),
        ] {
            let read = |text: &str| read_yaml(text, &Source::Caller).expect(text);
            let mut root = read(text);
            mask(&mut root);
            assert_eq!(to_yaml(&root), to_yaml(&read(expected)), "{text}");
        }
    }
}
