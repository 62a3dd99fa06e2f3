// SPDX-License-Identifier: Apache-2.0
//! Datasets of the Hugging Face hub.

mod large;

use std::{io::Read, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, Response, StatusCode, Url, header};
use serde_json::{Value, json};

use crate::{
    address::Address,
    error::DatasetError,
    http::{Purpose, below, read, refused, succeeded},
    local::{Digests, Expected, digests, problem},
    secret::Token,
    store::{Entry, Pushed, Store},
};

const PLACE: &str = "the Hugging Face hub";
const ENDPOINT: &str = "https://huggingface.co";
/// Pages of a list that are read at most.
const PAGES: u32 = 1000;

pub(crate) struct Hub<'a> {
    store: &'a Store,
    token: Option<&'a Token>,
}

/// A dataset at a revision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repo<'a> {
    pub owner: &'a str,
    pub name: &'a str,
    pub revision: &'a str,
}

impl<'a> Repo<'a> {
    /// Its path under the hub's addresses.
    fn path(self) -> [&'a str; 3] {
        ["datasets", self.owner, self.name]
    }
}

impl<'a> Hub<'a> {
    pub(crate) fn of(store: &'a Store) -> Self {
        Self { store, token: store.settings.hugging_face.token.as_ref() }
    }

    fn purpose(&self, action: impl Into<String>, what: impl Into<String>) -> Purpose<'a> {
        Purpose { place: PLACE, key: "hf_token", token: self.token, action: action.into(), what: what.into() }
    }

    fn endpoint(&self) -> Result<Url, DatasetError> {
        let text = self.store.settings.hugging_face.endpoint.as_deref().unwrap_or(ENDPOINT);
        let url = Url::parse(text.trim_end_matches('/')).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        url.ok_or_else(|| DatasetError::Incomplete {
            address: "hf_endpoint".to_owned(),
            lacking: "an address as https://huggingface.co".to_owned(),
        })
    }

    fn api(&self, parts: &[&str]) -> Result<Url, DatasetError> {
        Ok(below(&self.endpoint()?, ["api"].iter().chain(parts).copied()))
    }

    fn file_url(&self, repo: &Repo<'_>, file: &str) -> Result<Url, DatasetError> {
        let parts = repo.path().into_iter().chain(["resolve", repo.revision]).chain(file.split('/'));
        Ok(below(&self.endpoint()?, parts))
    }

    pub(crate) async fn list(&self, address: &Address) -> Result<Vec<Entry>, DatasetError> {
        let Address::HuggingFace { owner, name, revision, file } = address else { return Ok(Vec::new()) };
        let Some(name) = name else {
            let mut url = self.api(&["datasets"])?;
            url.query_pairs_mut().extend_pairs([("author", owner.as_str()), ("limit", "100")]);
            let purpose = self.purpose("list the datasets", format!("owner `{owner}`"));
            let sets = self.pages(url, &purpose).await?;
            let ids = sets.iter().filter_map(|set| set["id"].as_str());
            return Ok(ids.map(|id| Entry::place(format!("hf:{id}"))).collect());
        };
        let repo = Repo { owner, name, revision: revision.as_deref().unwrap_or("main") };
        let [kind, owner, name] = repo.path();
        let mut url = self.api(&[kind, owner, name, "tree", repo.revision])?;
        url.query_pairs_mut().append_pair("recursive", "true");
        let purpose =
            self.purpose("list files", format!("dataset `{owner}/{name}` with the revision `{}`", repo.revision));
        let items = self.pages(url, &purpose).await?;
        let below_file = |path: &str| {
            file.as_ref()
                .is_none_or(|file| path == file || path.starts_with(&format!("{}/", file.trim_end_matches('/'))))
        };
        let files = items.iter().filter(|item| item["type"].as_str() == Some("file")).filter_map(|item| {
            let path = item["path"].as_str().filter(|path| below_file(path))?;
            let large = &item["lfs"];
            let address = Address::HuggingFace {
                owner: owner.to_owned(),
                name: Some(name.to_owned()),
                revision: revision.clone(),
                file: Some(path.to_owned()),
            };
            Some(Entry {
                size: large["size"].as_u64().or_else(|| item["size"].as_u64()),
                sha256: large["oid"].as_str().map(|oid| oid.trim_start_matches("sha256:").to_owned()),
                git: if large.is_null() { item["oid"].as_str().map(str::to_owned) } else { None },
                file: Some(path.to_owned()),
                ..Entry::place(address)
            })
        });
        Ok(files.collect())
    }

    /// All pages of a list: an answer's `Link` header names the next one.
    async fn pages(&self, mut url: Url, purpose: &Purpose<'_>) -> Result<Vec<Value>, DatasetError> {
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let response = self.store.client.ask(Method::GET, &url, purpose, None).await?;
            let next = next_page(&response, &url);
            let answer = read(succeeded(response, purpose).await?, purpose).await?;
            let Value::Array(items) = answer else { return Err(purpose.nonsense("a list is expected")) };
            all.extend(items);
            match next {
                Some(next) if next != url => url = next,
                _ => break,
            }
        }
        Ok(all)
    }

    /// What the hub knows of a file.
    pub(crate) async fn look(&self, repo: &Repo<'_>, file: &str) -> Result<Entry, DatasetError> {
        let what = format!("file `{file}` in the dataset `{}/{}` at `{}`", repo.owner, repo.name, repo.revision);
        let purpose = self.purpose(format!("look up `{file}`"), what);
        let url = self.file_url(repo, file)?;
        let client = &self.store.client;
        let response = client
            .send(&purpose, 0, async || {
                Ok(client.request(Method::HEAD, &url, &purpose).header(header::ACCEPT_ENCODING, "identity"))
            })
            .await?;
        let status = response.status();
        if !status.is_success() && !status.is_redirection() {
            return Err(refused(response, &purpose).await);
        }
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let tag = text("x-linked-etag").or_else(|| text("etag").filter(|_| status.is_success())).unwrap_or_default();
        let tag = tag.trim_start_matches("W/").trim_matches('"').to_owned();
        let size = text("x-linked-size").or_else(|| text("content-length").filter(|_| status.is_success()));
        let is_hex = |length: usize| tag.len() == length && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let address = Address::HuggingFace {
            owner: repo.owner.to_owned(),
            name: Some(repo.name.to_owned()),
            revision: Some(repo.revision.to_owned()).filter(|revision| revision != "main"),
            file: Some(file.to_owned()),
        };
        Ok(Entry {
            size: size.and_then(|size| size.parse().ok()),
            sha256: is_hex(64).then(|| tag.clone()),
            git: is_hex(40).then(|| tag.clone()),
            file: Some(file.to_owned()),
            ..Entry::place(address)
        })
    }

    pub(crate) async fn pull(
        &self,
        repo: &Repo<'_>,
        file: &str,
        target: &Path,
        expected: &Expected,
    ) -> Result<Digests, DatasetError> {
        let what = format!("file `{file}` in the dataset `{}/{}` at `{}`", repo.owner, repo.name, repo.revision);
        let purpose = self.purpose(format!("give `{file}`"), what);
        self.store.client.download(&self.file_url(repo, file)?, &purpose, target, expected).await
    }

    pub(crate) async fn push(&self, file: &Path, repo: &Repo<'_>, path: &str) -> Result<Pushed, DatasetError> {
        if self.token.is_none() {
            return Err(DatasetError::Setting { key: "hf_token", place: PLACE });
        }
        let found = digests(file).map_err(problem(file))?;
        let what = format!("dataset `{}/{}` with the revision `{}`", repo.owner, repo.name, repo.revision);
        let purpose = self.purpose(format!("take `{path}`"), what);
        let proposed = self.store.settings.hugging_face.create_pr;
        self.make(repo).await?;
        let same = |entry: Entry| {
            let expected = Expected { size: None, sha256: entry.sha256, git: entry.git };
            expected.content().is_some().then(|| expected.check(path, &found))
        };
        let there = match self.look(repo, path).await {
            Ok(entry) => same(entry).is_some_and(|same| same.is_ok()),
            Err(DatasetError::Missing { .. }) => false,
            Err(error) => return Err(error),
        };
        let mut page = None;
        let mut verified = there;
        if !there {
            let operation = if self.is_large(file, repo, path, &found, &purpose).await? {
                large::upload(self, file, repo, &found, &purpose).await?;
                json!({"key": "lfsFile",
                    "value": {"path": path, "algo": "sha256", "oid": found.sha256, "size": found.size}})
            } else {
                let content = std::fs::read(file).map_err(problem(file))?;
                json!({"key": "file",
                    "value": {"path": path, "content": STANDARD.encode(content), "encoding": "base64"}})
            };
            if digests(file).map_err(problem(file))? != found {
                return Err(DatasetError::Changed { path: file.display().to_string() });
            }
            page = self.commit(repo, path, &operation, &purpose).await?;
            if !proposed && let Some(checked) = same(self.look(repo, path).await?) {
                checked?;
                verified = true;
            }
        }
        let address = Address::HuggingFace {
            owner: repo.owner.to_owned(),
            name: Some(repo.name.to_owned()),
            revision: Some(repo.revision.to_owned()).filter(|revision| revision != "main"),
            file: Some(path.to_owned()),
        };
        let (size, sha256) = (found.size, found.sha256.clone());
        Ok(Pushed { address: address.to_string(), size, sha256, already_there: there, verified, page })
    }

    /// Makes the dataset unless it is there.
    async fn make(&self, repo: &Repo<'_>) -> Result<(), DatasetError> {
        let id = format!("{}/{}", repo.owner, repo.name);
        let purpose = self.purpose(format!("make the dataset `{id}`"), format!("owner `{}`", repo.owner));
        let url = self.api(&repo.path())?;
        let there = self.store.client.ask(Method::GET, &url, &purpose, None).await?;
        if there.status().is_success() {
            return Ok(());
        }
        // Datasets that the token does not see are told as if they were not there.
        if there.status() != StatusCode::NOT_FOUND {
            return Err(refused(there, &purpose).await);
        }
        let private = !self.store.settings.hugging_face.public;
        let body = json!({"type": "dataset", "name": repo.name, "organization": repo.owner, "private": private});
        let url = self.api(&["repos", "create"])?;
        let made = self.store.client.ask(Method::POST, &url, &purpose, Some(&body)).await?;
        if made.status() == StatusCode::CONFLICT {
            return Ok(());
        }
        succeeded(made, &purpose).await.map(drop)
    }

    /// Asks whether a file goes to the store of large files.
    async fn is_large(
        &self,
        file: &Path,
        repo: &Repo<'_>,
        path: &str,
        found: &Digests,
        purpose: &Purpose<'_>,
    ) -> Result<bool, DatasetError> {
        let mut sample = Vec::new();
        let opened = std::fs::File::open(file).map_err(problem(file))?;
        opened.take(512).read_to_end(&mut sample).map_err(problem(file))?;
        let body = json!({"files": [{"path": path, "size": found.size, "sample": STANDARD.encode(sample)}]});
        let [kind, owner, name] = repo.path();
        let mut url = self.api(&[kind, owner, name, "preupload", repo.revision])?;
        if self.store.settings.hugging_face.create_pr {
            url.query_pairs_mut().append_pair("create_pr", "1");
        }
        let answer = self.store.client.json(Method::POST, &url, purpose, Some(&body)).await?;
        let own = answer["files"].as_array().into_iter().flatten().find(|one| one["path"].as_str() == Some(path));
        let own = own.ok_or_else(|| purpose.nonsense("it says nothing of the file"))?;
        if own["shouldIgnore"].as_bool() == Some(true) {
            let answer = "the dataset's .gitignore leaves it out".to_owned();
            return Err(DatasetError::Refused { place: PLACE, action: purpose.action.clone(), answer });
        }
        match own["uploadMode"].as_str() {
            Some("lfs") => Ok(true),
            Some("regular") => Ok(false),
            other => Err(purpose.nonsense(format!("`uploadMode` is {other:?}"))),
        }
    }

    /// Makes the commit. Returns the page where a person can look at it.
    async fn commit(
        &self,
        repo: &Repo<'_>,
        path: &str,
        operation: &Value,
        purpose: &Purpose<'_>,
    ) -> Result<Option<String>, DatasetError> {
        let header_line = json!({"key": "header", "value": {"summary": format!("Upload {path}"), "description": ""}});
        let lines = format!("{header_line}\n{operation}\n");
        let [kind, owner, name] = repo.path();
        let mut url = self.api(&[kind, owner, name, "commit", repo.revision])?;
        if self.store.settings.hugging_face.create_pr {
            url.query_pairs_mut().append_pair("create_pr", "1");
        }
        let client = &self.store.client;
        let response = client
            .send(purpose, lines.len() as u64, async || {
                let request = client.request(Method::POST, &url, purpose);
                Ok(request.header(header::CONTENT_TYPE, "application/x-ndjson").body(lines.clone()))
            })
            .await?;
        let answer = read(succeeded(response, purpose).await?, purpose).await?;
        if answer["success"].as_bool() == Some(false) {
            return Err(purpose.nonsense("the commit was not made"));
        }
        let page = answer["pullRequestUrl"].as_str().or_else(|| answer["commitUrl"].as_str());
        Ok(page.map(str::to_owned))
    }
}

/// The next page of a list, if it is of the same server.
fn next_page(response: &Response, url: &Url) -> Option<Url> {
    let links = response.headers().get(header::LINK)?.to_str().ok()?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let address = next.split_once('<')?.1.split_once('>')?.0;
    url.join(address).ok().filter(|next| next.origin() == url.origin())
}
