// SPDX-License-Identifier: Apache-2.0
//! From method and path to route, with the answers that FastAPI gives where there is none.

use gym_agents::Route;
use gym_protocol::{environment::Style, names::is_tool_route};

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// Any other.
    Other,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Post(Route),
    Aggregate,
    Alive,
    ReverifyMode,
    Nothing,
    /// The path exists for this other method.
    NotAllowed(&'static str),
    /// The path exists without its trailing slash.
    Redirect(String),
}

/// Finds what a path means. Fixed routes come before tools, so that no tool can take their place.
pub(super) fn find(method: Method, path: &str, has_tool: impl Fn(&str) -> bool, style: Style) -> Found {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    match look_up(path, &has_tool, style) {
        Some(found) => match (&found, method) {
            (Found::Alive | Found::ReverifyMode, Method::Get) | (Found::Post(_) | Found::Aggregate, Method::Post) => {
                found
            }
            (Found::Alive | Found::ReverifyMode, _) => Found::NotAllowed("GET"),
            _ => Found::NotAllowed("POST"),
        },
        None => {
            let bare = path.trim_end_matches('/');
            if bare.len() < path.len() && look_up(bare, &has_tool, style).is_some() {
                Found::Redirect(bare.to_owned())
            } else {
                Found::Nothing
            }
        }
    }
}

fn look_up(path: &str, has_tool: impl Fn(&str) -> bool, style: Style) -> Option<Found> {
    let tools = style == Style::Tools;
    Some(match path {
        "/" | "/livez" | "/readyz" | "/healthz" | "/health" => Found::Alive,
        "/aggregate_metrics" => Found::Aggregate,
        "/reverify_mode" if tools => Found::ReverifyMode,
        "/seed_session" if tools => Found::Post(Route::Seed),
        "/verify" if tools => Found::Post(Route::Verify),
        "/close_session" if tools => Found::Post(Route::CloseSession),
        "/reset" if !tools => Found::Post(Route::Reset),
        "/step" if !tools => Found::Post(Route::Step),
        "/close" if !tools => Found::Post(Route::Close),
        _ if !tools => return None,
        _ => {
            let name = decode(path.strip_prefix('/')?)?;
            if !is_tool_route(&name) || !has_tool(&name) {
                return None;
            }
            Found::Post(Route::Tool(name))
        }
    })
}

/// Reads `%XX`; `None` if the result is not text.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Found {
        Found::Post(Route::Tool(name.to_owned()))
    }

    #[test]
    fn paths_lead_where_fastapi_would_lead_them() {
        let has_tool = |name: &str| matches!(name, "get_weather" | "été" | "reset");
        for (method, path, expected) in [
            (Method::Get, "/", Found::Alive),
            (Method::Get, "/readyz?x=1", Found::Alive),
            (Method::Other, "/", Found::NotAllowed("GET")),
            (Method::Post, "/verify", Found::Post(Route::Verify)),
            (Method::Get, "/verify", Found::NotAllowed("POST")),
            (Method::Post, "/verify/", Found::Redirect("/verify".to_owned())),
            (Method::Get, "/get_weather//", Found::Redirect("/get_weather".to_owned())),
            (Method::Post, "/%76erify", Found::Nothing),
            (Method::Get, "/reverify_mode", Found::ReverifyMode),
            (Method::Post, "/get_weather", tool("get_weather")),
            (Method::Post, "/%C3%A9t%C3%A9", tool("été")),
            (Method::Post, "/get%5Fweather?q", tool("get_weather")),
            (Method::Get, "/get_weather", Found::NotAllowed("POST")),
            (Method::Post, "/nothing", Found::Nothing),
            (Method::Post, "/nothing/", Found::Nothing),
            (Method::Post, "/a/b", Found::Nothing),
            (Method::Post, "/reset", tool("reset")),
            (Method::Post, "/step", Found::Nothing),
            (Method::Post, "", Found::Nothing),
            (Method::Post, "//", Found::Nothing),
            (Method::Post, "/%ff", Found::Nothing),
            (Method::Post, "/%2", Found::Nothing),
        ] {
            assert_eq!(find(method, path, has_tool, Style::Tools), expected, "{method:?} {path}");
        }
    }

    #[test]
    fn a_server_whose_sessions_have_ids_is_stepped_through_them() {
        let has_tool = |name: &str| matches!(name, "step" | "close");
        for (path, expected) in [
            ("/step", tool("step")),
            ("/close", tool("close")),
            ("/seed_session", Found::Post(Route::Seed)),
            ("/reset", Found::Nothing),
        ] {
            assert_eq!(find(Method::Post, path, has_tool, Style::Tools), expected, "{path}");
        }
    }

    #[test]
    fn gymnasium_servers_have_their_own_routes_only() {
        for (path, expected) in [
            ("/reset", Found::Post(Route::Reset)),
            ("/step", Found::Post(Route::Step)),
            ("/close", Found::Post(Route::Close)),
            ("/aggregate_metrics", Found::Aggregate),
            ("/verify", Found::Nothing),
            ("/seed_session", Found::Nothing),
            ("/get_weather", Found::Nothing),
        ] {
            assert_eq!(find(Method::Post, path, |_| true, Style::Gymnasium), expected, "{path}");
        }
        assert_eq!(find(Method::Get, "/reverify_mode", |_| true, Style::Gymnasium), Found::Nothing);
    }
}
