// SPDX-License-Identifier: Apache-2.0
//! Servers for tests, on loopback: GitLab's registry and the hub, as far as datasets need them, with faults on demand.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The token that both take.
pub const TOKEN: &str = "glpat-very-secret";

/// What goes wrong with one request whose method and path contain this text.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A refusal, in whose text the token stands.
    Status(u16),
    /// The connection ends after so many bytes of a body that should be longer.
    CutAfter(usize),
    /// Another body, of the same length.
    Garbled,
}

/// What the server has and saw.
#[derive(Default)]
pub struct World {
    /// `http://127.0.0.1:PORT`; the registry is below `/gl/`.
    pub url: String,
    /// Files by path: content.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Contents of the store of large files.
    pub large: BTreeMap<String, Vec<u8>>,
    /// Parts of large files, by digest and number.
    pub parts: BTreeMap<String, Vec<u8>>,
    /// Versions by name.
    pub models: BTreeMap<String, Vec<String>>,
    /// What the hub was asked to make.
    pub repos: Vec<Value>,
    /// Bodies of commits.
    pub commits: Vec<String>,
    /// From this size on files are large; above `chunk` they are sent in parts.
    pub large_from: usize,
    /// See `large_from`.
    pub chunk: usize,
    /// What goes wrong next, and with which request.
    pub faults: VecDeque<(String, Fault)>,
    /// `METHOD path?query`
    pub log: Vec<String>,
    /// `Range` of requests that had one.
    pub ranges: Vec<String>,
    /// Whether GitLab's own API answers.
    pub packages: bool,
}

/// The servers, as the test and they see them.
pub type Shared = Arc<Mutex<World>>;

/// Starts both on a port of the machine; they end with the runtime.
pub async fn start() -> Shared {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let world: Shared =
        Arc::new(Mutex::new(World { url, large_from: 1 << 20, chunk: 1 << 30, packages: true, ..World::default() }));
    let router = Router::new().fallback(answer).with_state(world.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    world
}

/// Starts both on a thread of their own; they end with the process.
pub fn start_in_background() -> Shared {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            send.send(start().await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receive.recv().unwrap()
}

async fn answer(State(world): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 30).await.unwrap_or_default();
    let (response, fault) = without_fault(&mut world.lock(), &parts, &body);
    match fault {
        Some(fault) => spoil(response, fault).await,
        None => response,
    }
}

/// The answer, and what is to be done to it.
fn without_fault(world: &mut World, parts: &Parts, body: &Bytes) -> (Response, Option<Fault>) {
    let line = format!("{} {}", parts.method, parts.uri);
    world.log.push(line.clone());
    world.ranges.extend(parts.headers.get("range").and_then(|range| range.to_str().ok()).map(str::to_owned));
    let fault = world.faults.iter().position(|(text, _)| line.contains(text.as_str()));
    let fault = fault.and_then(|at| world.faults.remove(at)).map(|(_, fault)| fault);
    if let Some(Fault::Status(status)) = fault {
        let body = json!({"message": format!("refused with {TOKEN}")}).to_string();
        return ((StatusCode::from_u16(status).unwrap(), body).into_response(), None);
    }
    let path = decode(parts.uri.path());
    let query = decode(parts.uri.query().unwrap_or_default());
    let signed = path.starts_with("/signed/") || path.starts_with("/cdn/");
    let bearer = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if signed {
        assert_eq!(bearer, "", "the token went to a signed address");
    } else if bearer != format!("Bearer {TOKEN}") {
        let body = json!({"error": "Invalid credentials"}).to_string();
        return ((StatusCode::UNAUTHORIZED, body).into_response(), None);
    }
    let asked = Asked { method: &parts.method, path: &path, query: &query, headers: &parts.headers, body };
    let response = if path.starts_with("/gl/") { gitlab(world, &asked) } else { hub(world, &asked) };
    (response, fault)
}

async fn spoil(response: Response, fault: Fault) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 30).await.unwrap();
    match fault {
        Fault::CutAfter(length) => {
            parts.headers.insert("content-length", bytes.len().into());
            let start = bytes.slice(..length.min(bytes.len()));
            // The server sends what it has when there is nothing more yet; only then the connection ends.
            let stream = futures_util::stream::unfold(Some(start), |left| async move {
                match left {
                    Some(start) if !start.is_empty() => Some((Ok(start), Some(Bytes::new()))),
                    Some(_) => {
                        tokio::task::yield_now().await;
                        Some((Err(std::io::Error::other("cut")), None))
                    }
                    None => None,
                }
            });
            Response::from_parts(parts, Body::from_stream(stream))
        }
        _ => Response::from_parts(parts, Body::from(vec![b'?'; bytes.len()])),
    }
}

struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a Bytes,
}

impl Asked<'_> {
    fn value(&self, name: &str) -> &str {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap()
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn ok(value: Value) -> Response {
    (StatusCode::OK, [("content-type", "application/json")], value.to_string()).into_response()
}

fn none() -> Response {
    (StatusCode::NOT_FOUND, json!({"error_code": "RESOURCE_DOES_NOT_EXIST"}).to_string()).into_response()
}

/// A file, or the part of it that is asked for.
fn content(bytes: &[u8], headers: &HeaderMap) -> Response {
    let range = headers.get("range").and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-'));
    match range.map(|from| from.parse::<usize>().unwrap()) {
        Some(from) if from >= bytes.len() => StatusCode::RANGE_NOT_SATISFIABLE.into_response(),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            (StatusCode::PARTIAL_CONTENT, [("content-range", range)], bytes[from..].to_vec()).into_response()
        }
        None => bytes.to_vec().into_response(),
    }
}

/// `/gl/api/v4/projects/7/…`
fn gitlab(world: &mut World, asked: &Asked<'_>) -> Response {
    let path = asked.path.strip_prefix("/gl/api/v4/projects/7/").unwrap();
    if let Some(route) = path.strip_prefix("ml/mlflow/api/2.0/mlflow/") {
        return mlflow(world, asked, route);
    }
    if let Some(file) = path.strip_prefix("packages/ml_models/") {
        if asked.method == Method::PUT {
            assert_eq!(asked.headers["content-length"], asked.body.len().to_string());
            world.files.insert(file.to_owned(), asked.body.to_vec());
            return (StatusCode::CREATED, json!({"message": "201 Created"}).to_string()).into_response();
        }
        return world.files.get(file).map_or_else(none, |bytes| content(bytes, asked.headers));
    }
    if !world.packages {
        return StatusCode::FORBIDDEN.into_response();
    }
    let versions = world.models.iter().flat_map(|(name, versions)| versions.iter().map(move |one| (name, one)));
    let versions: Vec<_> = versions.enumerate().map(|(id, (name, version))| (id + 1, name, version)).collect();
    if path == "packages" {
        let name = asked.value("package_name");
        let all = versions.iter().filter(|(_, own, _)| own.contains(name));
        let all: Vec<_> = all.map(|(id, name, version)| json!({"id": id, "name": name, "version": version})).collect();
        // One on each page.
        let page: usize = asked.value("page").parse().unwrap();
        let next = if page < all.len() { (page + 1).to_string() } else { String::new() };
        let one: Vec<_> = all.into_iter().skip(page - 1).take(1).collect();
        return (StatusCode::OK, [("x-next-page", next)], Value::Array(one).to_string()).into_response();
    }
    let package = path.strip_prefix("packages/").and_then(|rest| rest.strip_suffix("/package_files"));
    let package: usize = package.unwrap().parse().unwrap();
    let (_, name, version) = versions[package - 1];
    let own = format!("{name}.{version}/files/");
    let files = world.files.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(&own)?, bytes)));
    let files = files.map(|(path, bytes)| {
        json!({"file_name": path.replace('/', "%2F"), "size": bytes.len(), "file_sha256": hex(&Sha256::digest(bytes))})
    });
    ok(Value::Array(files.collect()))
}

fn mlflow(world: &mut World, asked: &Asked<'_>, route: &str) -> Response {
    let version_of = |name: &str, version: &str| json!({"model_version": {"name": name, "version": version, "run_id": format!("run:{name}.{version}")}});
    let base = format!("{}/gl/api/v4/projects/7/packages/ml_models", world.url);
    match (asked.method.as_str(), route) {
        ("GET", "registered-models/get") => match world.models.get(asked.value("name")) {
            Some(versions) => {
                let latest = versions.last().map(|version| json!({"version": version}));
                ok(json!({"registered_model": {"name": asked.value("name"), "latest_versions": [latest]}}))
            }
            None => none(),
        },
        ("GET", "registered-models/search") => {
            let names: Vec<_> = world.models.keys().cloned().collect();
            let at: usize = asked.value("page_token").parse().unwrap_or(0);
            let next = if at + 1 < names.len() { (at + 1).to_string() } else { String::new() };
            let page: Vec<_> = names.iter().skip(at).take(1).map(|name| json!({"name": name})).collect();
            ok(json!({"registered_models": page, "next_page_token": next}))
        }
        ("POST", "registered-models/create") => {
            world.models.entry(asked.json()["name"].as_str().unwrap().to_owned()).or_default();
            ok(json!({"registered_model": {}}))
        }
        ("GET", "model-versions/get") => {
            let (name, version) = (asked.value("name"), asked.value("version"));
            let there = world.models.get(name).is_some_and(|versions| versions.iter().any(|one| one == version));
            if there { ok(version_of(name, version)) } else { none() }
        }
        ("POST", "model-versions/create") => {
            let body = asked.json();
            assert_eq!(body["tags"][0]["key"], "gitlab.version");
            let (name, version) = (body["name"].as_str().unwrap(), body["tags"][0]["value"].as_str().unwrap());
            world.models.get_mut(name).unwrap().push(version.to_owned());
            ok(version_of(name, version))
        }
        ("GET", "runs/get") => {
            let run = asked.value("run_id").strip_prefix("run:").unwrap();
            ok(json!({"run": {"info": {"artifact_uri": format!("{base}/{run}/files/")}}}))
        }
        other => panic!("no route {other:?}"),
    }
}

fn hub(world: &mut World, asked: &Asked<'_>) -> Response {
    let url = world.url.clone();
    if let Some(oid) = asked.path.strip_prefix("/cdn/") {
        return world.large.get(oid).map_or_else(none, |bytes| content(bytes, asked.headers));
    }
    if let Some(rest) = asked.path.strip_prefix("/signed/whole/") {
        world.large.insert(rest.to_owned(), asked.body.to_vec());
        return StatusCode::OK.into_response();
    }
    if let Some(rest) = asked.path.strip_prefix("/signed/part/") {
        world.parts.insert(rest.to_owned(), asked.body.to_vec());
        return ([("etag", format!("\"tag-{rest}\""))], "").into_response();
    }
    if asked.path == "/complete" {
        let body = asked.json();
        let oid = body["oid"].as_str().unwrap();
        let mut whole = Vec::new();
        for part in body["parts"].as_array().unwrap() {
            let own = format!("{oid}/{}", part["partNumber"]);
            assert_eq!(part["etag"], format!("\"tag-{own}\""));
            whole.extend_from_slice(&world.parts[&own]);
        }
        world.large.insert(oid.to_owned(), whole);
        return ok(json!({}));
    }
    if asked.path == "/verify" {
        let body = asked.json();
        let own = world.large.get(body["oid"].as_str().unwrap());
        let right = own.is_some_and(|bytes| hex(&Sha256::digest(bytes)) == body["oid"] && bytes.len() == body["size"]);
        return if right { ok(json!({})) } else { none() };
    }
    if asked.path == "/api/repos/create" {
        world.repos.push(asked.json());
        return ok(json!({"url": url}));
    }
    if asked.path == "/api/datasets" {
        let next = format!("<{url}/api/datasets?author=o&cursor=2>; rel=\"next\"");
        let first = asked.value("cursor").is_empty();
        let body = json!([{"id": if first { "o/one" } else { "o/two" }}]).to_string();
        return if first { ([("link", next)], body).into_response() } else { body.into_response() };
    }
    if asked.path.ends_with("/objects/batch") {
        let body = asked.json();
        let (oid, size) = (body["objects"][0]["oid"].as_str().unwrap(), body["objects"][0]["size"].as_u64().unwrap());
        if world.large.contains_key(oid) {
            return ok(json!({"objects": [{"oid": oid, "size": size}]}));
        }
        let verify = json!({"href": format!("{url}/verify")});
        let upload = if size as usize > world.chunk {
            let count = size.div_ceil(world.chunk as u64);
            let mut header = json!({"chunk_size": world.chunk.to_string()});
            for part in 1..=count {
                header[format!("{part:05}")] = json!(format!("{url}/signed/part/{oid}/{part}"));
            }
            json!({"href": format!("{url}/complete"), "header": header})
        } else {
            json!({"href": format!("{url}/signed/whole/{oid}")})
        };
        return ok(json!({"objects": [{"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}}]}));
    }
    repository(world, asked)
}

/// `/api/datasets/o/n…` and `/datasets/o/n/resolve/main/…`
fn repository(world: &mut World, asked: &Asked<'_>) -> Response {
    let url = world.url.clone();
    if let Some(file) = asked.path.strip_prefix("/datasets/o/n/resolve/main/") {
        let Some(bytes) = world.files.get(file) else { return none() };
        let oid = hex(&Sha256::digest(bytes));
        if bytes.len() >= world.large_from {
            let place = format!("{}/cdn/{oid}", url.replace("127.0.0.1", "localhost"));
            let head = [
                ("location", place),
                ("x-linked-etag", format!("\"{oid}\"")),
                ("x-linked-size", bytes.len().to_string()),
            ];
            return (StatusCode::FOUND, head, "").into_response();
        }
        let tag = [("etag", format!("\"{}\"", git(bytes)))];
        return (tag, content(bytes, asked.headers)).into_response();
    }
    let route = asked.path.strip_prefix("/api/datasets/o/n").unwrap_or_else(|| panic!("no route {}", asked.path));
    match route {
        "" if world.repos.is_empty() => none(),
        "" => ok(json!({"id": "o/n"})),
        "/tree/main" => {
            let files = world.files.iter().map(|(path, bytes)| {
                let large = bytes.len() >= world.large_from;
                let lfs = large.then(|| json!({"oid": hex(&Sha256::digest(bytes)), "size": bytes.len()}));
                json!({"type": "file", "path": path, "size": bytes.len(), "oid": git(bytes), "lfs": lfs})
            });
            let folder = json!({"type": "directory", "path": "data", "oid": "x"});
            ok(Value::Array(files.chain([folder]).collect()))
        }
        "/preupload/main" => {
            let body = asked.json();
            let (path, size) = (&body["files"][0]["path"], body["files"][0]["size"].as_u64().unwrap() as usize);
            assert!(body["files"][0]["sample"].is_string());
            let mode = if size >= world.large_from { "lfs" } else { "regular" };
            ok(json!({"files": [{"path": path, "uploadMode": mode, "shouldIgnore": path == "ignored"}]}))
        }
        "/commit/main" => {
            assert_eq!(asked.headers["content-type"], "application/x-ndjson");
            let text = String::from_utf8(asked.body.to_vec()).unwrap();
            let line: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
            let path = line["value"]["path"].as_str().unwrap().to_owned();
            let bytes = match line["key"].as_str() {
                Some("lfsFile") => world.large[line["value"]["oid"].as_str().unwrap()].clone(),
                _ => {
                    use base64::Engine as _;
                    base64::engine::general_purpose::STANDARD
                        .decode(line["value"]["content"].as_str().unwrap())
                        .unwrap()
                }
            };
            world.files.insert(path, bytes);
            world.commits.push(text);
            ok(json!({"success": true, "commitUrl": format!("{url}/commit/1")}))
        }
        other => panic!("no route {other}"),
    }
}

fn git(bytes: &[u8]) -> String {
    let mut sha = sha1::Sha1::new();
    sha.update(format!("blob {}\0", bytes.len()));
    sha.update(bytes);
    hex(&sha.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
