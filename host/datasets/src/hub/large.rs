// SPDX-License-Identifier: Apache-2.0
//! Uploading large files: Git LFS with the hub's transfer in parts. Parts that were sent are remembered on disk, so that
//! an upload that was cut off goes on where it stopped.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use futures_util::{StreamExt, stream};
use reqwest::{Body, Method, Url, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Hub, Repo};
use crate::{
    error::DatasetError,
    http::{Purpose, below, read, refused, succeeded},
    local::{Digests, part, problem},
};

/// Parts that are sent at the same time.
const AT_ONCE: usize = 4;
const LFS: &str = "application/vnd.git-lfs+json";
/// More parts than any store takes.
const MOST_PARTS: u64 = 100_000;

/// An upload that has begun. Its addresses are signed, so the file is for its owner only.
#[derive(Serialize, Deserialize)]
struct Begun {
    /// Where the end of the upload is told.
    complete: String,
    chunk: u64,
    /// Addresses by number of the part.
    parts: BTreeMap<u64, String>,
    /// Tags of parts that were sent.
    sent: BTreeMap<u64, String>,
}

/// Sends a file to the store of large files, unless it is there.
pub(super) async fn upload(
    hub: &Hub<'_>,
    file: &Path,
    repo: &Repo<'_>,
    found: &Digests,
    purpose: &Purpose<'_>,
) -> Result<(), DatasetError> {
    let memory = hub.store.settings.memory.as_ref().map(|folder| folder.join(format!("{}.json", found.sha256)));
    let Some(actions) = batch(hub, repo, found, purpose).await? else {
        forget(memory.as_deref());
        return Ok(());
    };
    let upload = &actions["upload"];
    let href = upload["href"].as_str().ok_or_else(|| purpose.nonsense("there is no address to send the file to"))?;
    match in_parts(upload, found, purpose)? {
        None => {
            let url = address(href, purpose)?;
            send(hub, file, 0, found.size, &url, &headers(&upload["header"]), purpose).await?;
        }
        Some(fresh) => {
            let remembered = memory.as_deref().and_then(recall).filter(|begun| begun.fits(found.size));
            let began_before = remembered.is_some();
            let mut begun = remembered.unwrap_or(Begun { complete: href.to_owned(), ..fresh });
            match parts(hub, file, found, &mut begun, memory.as_deref(), purpose).await {
                // What was remembered has expired.
                Err(DatasetError::Token { .. } | DatasetError::Missing { .. } | DatasetError::Refused { .. })
                    if began_before =>
                {
                    forget(memory.as_deref());
                    let fresh = in_parts(upload, found, purpose)?.ok_or_else(|| purpose.nonsense("no parts"))?;
                    let mut begun = Begun { complete: href.to_owned(), ..fresh };
                    parts(hub, file, found, &mut begun, memory.as_deref(), purpose).await?;
                }
                other => other?,
            }
            forget(memory.as_deref());
        }
    }
    if let Some(verify) = actions["verify"]["href"].as_str() {
        let url = address(verify, purpose)?;
        let endpoint = hub.endpoint()?;
        // The token goes to the hub only.
        let nobody = purpose.unnamed();
        let as_whom = if url.origin() == endpoint.origin() { purpose } else { &nobody };
        let body = json!({"oid": found.sha256, "size": found.size});
        succeeded(post(hub, &url, as_whom, &headers(&actions["verify"]["header"]), &body).await?, purpose).await?;
    }
    Ok(())
}

/// Asks how to send a file; `None` if the store has it.
async fn batch(
    hub: &Hub<'_>,
    repo: &Repo<'_>,
    found: &Digests,
    purpose: &Purpose<'_>,
) -> Result<Option<Value>, DatasetError> {
    let repository = format!("{}.git", repo.name);
    let url = below(&hub.endpoint()?, ["datasets", repo.owner, &repository, "info", "lfs", "objects", "batch"]);
    let body = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "objects": [{"oid": found.sha256, "size": found.size}],
        "hash_algo": "sha256",
        "ref": {"name": repo.revision},
    });
    let response = succeeded(post(hub, &url, purpose, &[], &body).await?, purpose).await?;
    let mut answer = read(response, purpose).await?;
    let own = answer["objects"].as_array_mut().into_iter().flatten();
    let mut own = own.filter(|object| object["oid"].as_str() == Some(&found.sha256));
    let object = own.next().ok_or_else(|| purpose.nonsense("it says nothing of the file"))?;
    if let Some(message) = object["error"]["message"].as_str() {
        return Err(DatasetError::Refused {
            place: purpose.place,
            action: purpose.action.clone(),
            answer: format!("{} {message}", object["error"]["code"]),
        });
    }
    let actions = object["actions"].take();
    Ok((!actions["upload"].is_null()).then_some(actions))
}

async fn post(
    hub: &Hub<'_>,
    url: &Url,
    purpose: &Purpose<'_>,
    more: &[(String, String)],
    body: &Value,
) -> Result<reqwest::Response, DatasetError> {
    let client = &hub.store.client;
    client
        .send(purpose, 0, async || {
            let mut request = client.request(Method::POST, url, purpose);
            for (name, value) in more {
                request = request.header(name, value);
            }
            Ok(request.header(header::ACCEPT, LFS).header(header::CONTENT_TYPE, LFS).body(body.to_string()))
        })
        .await
}

/// The parts that a store wants a file in; `None` if it wants it whole.
fn in_parts(upload: &Value, found: &Digests, purpose: &Purpose<'_>) -> Result<Option<Begun>, DatasetError> {
    let chunk = &upload["header"]["chunk_size"];
    let chunk = chunk.as_u64().or_else(|| chunk.as_str()?.parse().ok());
    let Some(chunk) = chunk else { return Ok(None) };
    let addresses = upload["header"].as_object().into_iter().flatten();
    let addresses = addresses.filter_map(|(name, value)| Some((name.parse().ok()?, value.as_str()?.to_owned())));
    let begun = Begun { complete: String::new(), chunk, parts: addresses.collect(), sent: BTreeMap::new() };
    if begun.fits(found.size) { Ok(Some(begun)) } else { Err(purpose.nonsense("its parts do not make up the file")) }
}

impl Begun {
    /// Whether the parts are those of a file of this size: numbered from 1.
    fn fits(&self, size: u64) -> bool {
        self.chunk > 0
            && size.div_ceil(self.chunk) <= MOST_PARTS
            && (1..=size.div_ceil(self.chunk)).eq(self.parts.keys().copied())
            && self.sent.keys().all(|number| self.parts.contains_key(number))
    }
}

/// Sends what was not sent yet, and tells the end.
async fn parts(
    hub: &Hub<'_>,
    file: &Path,
    found: &Digests,
    begun: &mut Begun,
    memory: Option<&Path>,
    purpose: &Purpose<'_>,
) -> Result<(), DatasetError> {
    let left: Vec<_> = begun.parts.iter().filter(|(number, _)| !begun.sent.contains_key(number)).collect();
    let chunk = begun.chunk;
    let jobs = left.into_iter().map(|(number, href)| (*number, href.clone())).map(|(number, href)| async move {
        let from = (number - 1) * chunk;
        let length = chunk.min(found.size - from);
        let url = address(&href, purpose)?;
        let response = send(hub, file, from, length, &url, &[], purpose).await?;
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok((number, tag.ok_or_else(|| purpose.nonsense(format!("part {number} has no tag")))?))
    });
    let jobs: Vec<_> = jobs.collect();
    let mut running = stream::iter(jobs).buffer_unordered(AT_ONCE);
    let mut first_problem = None;
    while let Some(done) = running.next().await {
        match done {
            Ok((number, tag)) => {
                begun.sent.insert(number, tag);
                if let Some(memory) = memory {
                    remember(memory, begun)?;
                }
            }
            Err(problem) => {
                first_problem = Some(problem);
                break;
            }
        }
    }
    drop(running);
    if let Some(problem) = first_problem {
        return Err(problem);
    }
    let tags: Vec<_> = begun.sent.iter().map(|(number, tag)| json!({"partNumber": number, "etag": tag})).collect();
    let body = json!({"oid": found.sha256, "parts": tags});
    let url = address(&begun.complete, purpose)?;
    let endpoint = hub.endpoint()?;
    let nobody = purpose.unnamed();
    let as_whom = if url.origin() == endpoint.origin() { purpose } else { &nobody };
    let response = post(hub, &url, as_whom, &[], &body).await?;
    if response.status().is_success() { Ok(()) } else { Err(refused(response, purpose).await) }
}

/// Sends part of a file to a signed address.
async fn send(
    hub: &Hub<'_>,
    file: &Path,
    from: u64,
    length: u64,
    url: &Url,
    more: &[(String, String)],
    purpose: &Purpose<'_>,
) -> Result<reqwest::Response, DatasetError> {
    let client = &hub.store.client;
    let nobody = purpose.unnamed();
    let response = client
        .send(&nobody, length, async || {
            let body = part(file.to_owned(), from, length).await.map_err(problem(file))?;
            let mut request = client.request(Method::PUT, url, &nobody).header(header::CONTENT_LENGTH, length);
            for (name, value) in more {
                request = request.header(name, value);
            }
            Ok(request.body(Body::wrap_stream(body)))
        })
        .await?;
    succeeded(response, &nobody).await
}

fn address(text: &str, purpose: &Purpose<'_>) -> Result<Url, DatasetError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| purpose.nonsense("an address to send the file to is none"))
}

/// The header lines that an action asks for.
fn headers(header: &Value) -> Vec<(String, String)> {
    let lines = header.as_object().into_iter().flatten();
    lines.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn recall(path: &Path) -> Option<Begun> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn remember(path: &Path, begun: &Begun) -> Result<(), DatasetError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(problem(folder))?;
    }
    let partial: PathBuf = path.with_extension("partial");
    let text = serde_json::to_vec(begun).expect("numbers and texts serialise");
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&partial);
    let written = file.and_then(|mut file| file.write_all(&text)).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(problem(path))
}

fn forget(path: Option<&Path>) {
    if let Some(path) = path {
        // It may not be there; what is left costs a look at the next upload of the same file.
        std::fs::remove_file(path).ok();
    }
}
