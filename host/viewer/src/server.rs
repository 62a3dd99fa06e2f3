// SPDX-License-Identifier: Apache-2.0
//! The page's server.
//!
//! Rollouts hold whatever models and environments wrote, so the page may load nothing but its own files and run nothing
//! but its own scripts, and other sites that are open in the same browser can neither frame it nor read it: requests
//! must name this machine, so that a foreign name that resolves to it gets no answer.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{Path, RawQuery, Request, State as Shared},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use gym_protocol::Raw;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::{
    assets::ASSETS,
    body,
    index::Index,
    order::{Key, Order, Selection, select},
    pairs::{self, Outcome},
    query::{Query, QueryError},
};

/// How many rows are sent at once.
const PAGE: usize = 500;
/// How many other rollouts of a task are offered.
const TASK_ROWS: usize = 500;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Under which names the page may be asked for: `localhost`, addresses, and the name that it listens on.
#[derive(Clone, Debug, Default)]
pub struct Access {
    name: Option<String>,
}

impl Access {
    /// Allows the host name that was asked to listen on.
    pub fn with_name(name: &str) -> Self {
        Self { name: Some(name.to_ascii_lowercase()) }
    }

    fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        let name = name.to_ascii_lowercase();
        name == "localhost" || name.parse::<IpAddr>().is_ok() || self.name.as_ref() == Some(&name)
    }
}

/// Serves the page until the future is dropped.
pub async fn serve(listener: TcpListener, index: Arc<Index>, access: Access) -> std::io::Result<()> {
    axum::serve(listener, router(index, access)).await
}

fn router(index: Arc<Index>, access: Access) -> Router {
    let mut router = Router::new()
        .route("/api/summary", get(summary))
        .route("/api/rows", get(rows))
        .route("/api/rollouts/{id}", get(rollout))
        .route("/api/rollouts/{id}/text", get(text))
        .route("/api/rollouts/{id}/task", get(same_task))
        .route("/api/pairs", get(paired));
    for asset in ASSETS {
        let answer = || async { ([(header::CONTENT_TYPE, asset.kind)], asset.content) };
        router = router.route(asset.path, get(answer));
    }
    router
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "there is no such page") })
        .layer(middleware::from_fn_with_state(Arc::new(access), guard))
        .with_state(index)
}

async fn guard(Shared(access): Shared<Arc<Access>>, request: Request, next: Next) -> Response {
    let mut response = if !access.allows(request.headers()) {
        let why = "requests must name this machine as `localhost`, by its address, or as `--host` says";
        Refusal::new(StatusCode::MISDIRECTED_REQUEST, why).into_response()
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "the viewer only reads").into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why a request is not answered.
struct Refusal {
    status: StatusCode,
    error: String,
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.error }).to_string();
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

type Answer = Result<Response, Refusal>;

fn json(body: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(body)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to write JSON: {error}")))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// Work that computes or reads files, away from the threads that answer.
async fn apart(work: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())))
}

async fn summary(Shared(index): Shared<Arc<Index>>) -> Answer {
    apart(move || json(&body::summary(&index))).await
}

/// Parameters of a request.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decode(k), decode(v))).collect(),
        )
    }

    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Refusal::new(StatusCode::BAD_REQUEST, format!("`{name}` is `{text}`, which is no whole number"))
            }),
        }
    }
}

/// Undoes the encoding of a URL's query.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, code.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Serialize)]
struct Rows<'a> {
    /// How many rows pass the filter.
    matched: usize,
    /// How many of them have a reward that counts, and its mean.
    scored: u64,
    mean: Option<f64>,
    revision: u64,
    /// The position of the first row that is sent.
    start: usize,
    /// The position of the row that was asked for with `around`.
    position: Option<usize>,
    rows: Vec<body::RowBody<'a>>,
}

/// `filter`, `sort`, `start`, `count`; with `around=<id>` the rows around one; with `number=<name>` another number.
async fn rows(Shared(index): Shared<Arc<Index>>, RawQuery(query): RawQuery) -> Answer {
    apart(move || {
        let parameters = Parameters::read(query.as_deref());
        let count = parameters.number::<usize>("count")?.unwrap_or(100).min(PAGE);
        let around = parameters.number::<u32>("around")?;
        let mut start = parameters.number::<usize>("start")?.unwrap_or(0);
        let key = Key {
            filter: parameters.text("filter").to_owned(),
            sort: parameters.text("sort").to_owned(),
            revision: index.revision(),
        };
        let number = Some(parameters.text("number")).filter(|name| !name.is_empty());
        index.with(|table| {
            let kept = index.orders.lock().get(&key);
            let selection: Arc<Selection> = match kept.filter(|kept| kept.rows.len() <= table.rows().len()) {
                Some(selection) => selection,
                None => {
                    let query = Query::parse(&key.filter, table)?;
                    let order = Order::parse(&key.sort, table)?;
                    let selection = Arc::new(select(table, &query, &order));
                    index.orders.lock().keep(key.clone(), selection.clone());
                    selection
                }
            };
            let position = around.and_then(|id| selection.rows.iter().position(|row| *row == id));
            if let Some(position) = position {
                start = position.saturating_sub(count / 2);
            }
            let start = start.min(selection.rows.len());
            let page = selection.rows[start..].iter().take(count);
            json(&Rows {
                matched: selection.rows.len(),
                scored: selection.scored,
                mean: selection.mean,
                revision: key.revision,
                start,
                position,
                rows: page.map(|id| body::row(table, *id, number)).collect(),
            })
        })
    })
    .await
}

fn missing() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is no such rollout; the file may have been replaced")
}

fn line(index: &Index, id: u32) -> Result<(Raw, bytes::Bytes, Option<Raw>), Refusal> {
    let found = index.with(|table| {
        let row = table.rows().get(id as usize)?;
        Some((row.clone(), Raw::from_value(&body::row(table, id, None))))
    });
    let (row, facts) = found.ok_or_else(missing)?;
    let line = index.text(&row).map_err(|error| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to read line {}: {error}", row.line))
    })?;
    Ok((facts, line, index.task(&row)))
}

async fn rollout(Shared(index): Shared<Arc<Index>>, Path(id): Path<u32>) -> Answer {
    apart(move || {
        let (facts, text, task) = line(&index, id)?;
        let body = body::rollout(&facts, text, task.as_ref());
        Ok(([(header::CONTENT_TYPE, "application/json")], body.bytes().clone()).into_response())
    })
    .await
}

/// The line as it stands in the file.
async fn text(Shared(index): Shared<Arc<Index>>, Path(id): Path<u32>) -> Answer {
    apart(move || {
        let (_, text, _) = line(&index, id)?;
        Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
    })
    .await
}

/// All rollouts of the same task, in both files.
async fn same_task(Shared(index): Shared<Arc<Index>>, Path(id): Path<u32>) -> Answer {
    apart(move || {
        index.with(|table| {
            let group = table.rows().get(id as usize).ok_or_else(missing)?.group;
            let same = table
                .rows()
                .iter()
                .zip(0_u32..)
                .filter(|(row, other)| *other == id || (group != 0 && row.group == group));
            json(&same.take(TASK_ROWS).map(|(_, id)| body::row(table, id, None)).collect::<Vec<_>>())
        })
    })
    .await
}

#[derive(Serialize)]
struct Pairs<'a> {
    totals: pairs::Totals,
    matched: usize,
    start: usize,
    pairs: Vec<&'a pairs::Pair>,
}

/// Tasks of two files: `outcome`, `text`, `sort`, `start`, `count`.
async fn paired(Shared(index): Shared<Arc<Index>>, RawQuery(query): RawQuery) -> Answer {
    apart(move || {
        let parameters = Parameters::read(query.as_deref());
        let count = parameters.number::<usize>("count")?.unwrap_or(100).min(PAGE);
        let start = parameters.number::<usize>("start")?.unwrap_or(0);
        let outcome = match parameters.text("outcome") {
            "" => None,
            "better" => Some(Outcome::Better),
            "worse" => Some(Outcome::Worse),
            "same" => Some(Outcome::Same),
            "unpaired" => Some(Outcome::Unpaired),
            other => {
                let why = format!("`{other}` is no outcome; there are: better, worse, same, unpaired");
                return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
            }
        };
        let sort = Some(parameters.text("sort")).filter(|sort| !sort.is_empty()).unwrap_or("delta");
        let all = index.with(pairs::pairs);
        let chosen = pairs::choose(&all, outcome, parameters.text("text"), sort).ok_or_else(|| {
            let why = format!("tasks cannot be ordered by `{sort}`; there are: delta, a, b, task");
            Refusal::new(StatusCode::BAD_REQUEST, why)
        })?;
        let start = start.min(chosen.len());
        let page = chosen[start..].iter().take(count).copied().collect();
        json(&Pairs { totals: pairs::totals(&all), matched: chosen.len(), start, pairs: page })
    })
    .await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tower::Service;

    use super::*;

    fn page() -> (tempfile::TempDir, Router) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        let rows = "{\"responses_create_params\":{\"input\":\"one\"},\"reward\":1,\"_ng_task_index\":0}\n\
                    {\"responses_create_params\":{\"input\":\"<img src=x>\"},\"reward\":0.5,\"_ng_task_index\":1,\"big\":12345678901234567890}\n\
                    broken\n";
        std::fs::write(&path, rows).unwrap();
        let index = Index::open(&[path.clone(), path]).unwrap();
        index.read().unwrap();
        (folder, router(Arc::new(index), Access::default()))
    }

    async fn ask(router: &mut Router, method: &str, host: &str, path: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::builder().method(method).uri(path).header("host", host).body(Body::empty()).unwrap();
        let response = router.call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned();
        (parts.status, parts.headers, text)
    }

    #[tokio::test]
    async fn every_answer_forbids_foreign_content() {
        let (_folder, mut router) = page();
        for path in ["/", "/viewer.css", "/main.js", "/api/summary", "/api/rollouts/9", "/nowhere"] {
            let (_, headers, _) = ask(&mut router, "GET", "127.0.0.1:1", path).await;
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{path}: {policy}");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        }
    }

    #[tokio::test]
    async fn other_names_of_this_machine_and_other_methods_are_refused() {
        let (_folder, mut router) = page();
        for (method, host, expected) in [
            ("GET", "localhost:80", StatusCode::OK),
            ("GET", "LOCALHOST", StatusCode::OK),
            ("GET", "[::1]:8080", StatusCode::OK),
            ("GET", "192.168.1.2:8080", StatusCode::OK),
            ("GET", "evil.example:80", StatusCode::MISDIRECTED_REQUEST),
            ("GET", "localhost.evil.example", StatusCode::MISDIRECTED_REQUEST),
            ("POST", "localhost", StatusCode::METHOD_NOT_ALLOWED),
        ] {
            assert_eq!(ask(&mut router, method, host, "/api/summary").await.0, expected, "{method} {host}");
        }
        assert!(
            Access::with_name("Box.local")
                .allows(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("box.LOCAL:80"))]))
        );
    }

    #[tokio::test]
    async fn rows_are_filtered_ordered_and_paged() {
        let (_folder, mut router) = page();
        let mut rows = async |query: &str| -> (StatusCode, Value) {
            let (status, _, text) = ask(&mut router, "GET", "localhost", &format!("/api/rows?{query}")).await;
            (status, serde_json::from_str(&text).unwrap())
        };
        let (_, all) = rows("").await;
        assert_eq!(
            (all["matched"].as_u64(), all["scored"].as_u64(), all["mean"].as_f64()),
            (Some(6), Some(4), Some(0.75))
        );
        let (_, some) = rows("filter=reward%3C1+file%3Ab&sort=-reward&count=1").await;
        assert_eq!((some["matched"].as_u64(), some["rows"][0]["title"].as_str()), (Some(1), Some("<img src=x>")));
        let (_, around) = rows("around=3&count=2").await;
        assert_eq!((around["position"].as_u64(), around["start"].as_u64()), (Some(3), Some(2)));
        let (status, error) = rows("filter=colour%3E1").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(error["error"].as_str().unwrap().contains("colour"));
        assert_eq!(rows("start=x").await.0, StatusCode::BAD_REQUEST);
        assert_eq!(rows("sort=colour").await.0, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn a_rollout_is_sent_as_it_stands_in_the_file() {
        let (_folder, mut router) = page();
        let (_, _, text) = ask(&mut router, "GET", "localhost", "/api/rollouts/1").await;
        assert!(text.contains("12345678901234567890"), "{text}");
        let (_, _, text) = ask(&mut router, "GET", "localhost", "/api/rollouts/2").await;
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["text"], "broken");
        let (_, headers, text) = ask(&mut router, "GET", "localhost", "/api/rollouts/2/text").await;
        assert_eq!(
            (text.as_str(), headers[header::CONTENT_TYPE].to_str().unwrap()),
            ("broken", "text/plain; charset=utf-8")
        );
        assert_eq!(ask(&mut router, "GET", "localhost", "/api/rollouts/77").await.0, StatusCode::NOT_FOUND);
        let (_, _, text) = ask(&mut router, "GET", "localhost", "/api/rollouts/0/task").await;
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap().as_array().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn two_files_are_paired_by_task() {
        let (_folder, mut router) = page();
        let (_, _, text) = ask(&mut router, "GET", "localhost", "/api/pairs?outcome=same").await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((body["totals"]["same"].as_u64(), body["matched"].as_u64()), (Some(2), Some(2)));
        assert_eq!(ask(&mut router, "GET", "localhost", "/api/pairs?outcome=x").await.0, StatusCode::BAD_REQUEST);
    }
}
