// SPDX-License-Identifier: Apache-2.0
//! GitLab's model registry.
//!
//! NeMo Gym keeps a dataset as a registered model, its versions as model versions, and its files as their artifacts. The
//! registry is asked with MLflow's REST API. Files go to the address that the run of a version names, one PUT for each;
//! GitLab's own API of packages tells their checksums.

use std::path::Path;

use reqwest::{Body, Method, StatusCode, Url, header};
use serde_json::{Value, json};

use crate::{
    address::Address,
    error::DatasetError,
    http::{Purpose, below, is_local, read, refused, succeeded},
    local::{Digests, Expected, digests, part, problem},
    secret::Token,
    store::{Entry, Pushed, Store},
};

const PLACE: &str = "the GitLab registry";
/// Pages of a list that are read at most.
const PAGES: u32 = 1000;

pub(crate) struct Registry<'a> {
    store: &'a Store,
    /// The tracking server.
    base: Url,
    /// The project in GitLab's own API, if the tracking server is GitLab.
    project: Option<Url>,
    token: &'a Token,
}

impl<'a> Registry<'a> {
    pub(crate) fn of(store: &'a Store) -> Result<Self, DatasetError> {
        let settings = &store.settings.gitlab;
        let uri = settings.tracking_uri.as_deref();
        let uri = uri.ok_or(DatasetError::Setting { key: "mlflow_tracking_uri", place: PLACE })?;
        let token = settings.tracking_token.as_ref();
        let token = token.ok_or(DatasetError::Setting { key: "mlflow_tracking_token", place: PLACE })?;
        let url = |text: &str| Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = url(uri.trim_end_matches('/')).ok_or_else(|| DatasetError::Incomplete {
            address: "mlflow_tracking_uri".to_owned(),
            lacking: "an address as https://gitlab.example/api/v4/projects/ID/ml/mlflow".to_owned(),
        })?;
        let project = uri.trim_end_matches('/').strip_suffix("/ml/mlflow").and_then(url);
        Ok(Self { store, base, project, token })
    }

    fn purpose(&self, action: impl Into<String>, what: impl Into<String>) -> Purpose<'a> {
        Purpose {
            place: PLACE,
            key: "mlflow_tracking_token",
            token: Some(self.token),
            action: action.into(),
            what: what.into(),
        }
    }

    fn mlflow(&self, route: &str, query: &[(&str, &str)]) -> Url {
        let mut url = below(&self.base, ["api", "2.0", "mlflow"].into_iter().chain(route.split('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    pub(crate) async fn list(&self, address: &Address) -> Result<Vec<Entry>, DatasetError> {
        let Address::GitLab { name, version, file } = address else { return Ok(Vec::new()) };
        let at = |name: &str, version: Option<&str>| {
            Entry::place(Address::GitLab {
                name: Some(name.to_owned()),
                version: version.map(str::to_owned),
                file: None,
            })
        };
        match (name.as_deref(), version.as_deref()) {
            (None, _) => Ok(self.models().await?.iter().map(|name| at(name, None)).collect()),
            (Some(name), None) => {
                Ok(self.versions(name).await?.iter().map(|version| at(name, Some(version))).collect())
            }
            (Some(name), Some(version)) => {
                self.version(name, version).await?;
                let files = self.files(name, version).await?.unwrap_or_default();
                let wanted = |entry: &Entry| file.is_none() || entry.file == *file;
                Ok(files.into_iter().filter(wanted).collect())
            }
        }
    }

    /// The names of all datasets.
    async fn models(&self) -> Result<Vec<String>, DatasetError> {
        let purpose = self.purpose("list the datasets", "project at `mlflow_tracking_uri`");
        let mut names = Vec::new();
        let mut page = String::new();
        for _ in 0..PAGES {
            let mut query = vec![("max_results", "200")];
            if !page.is_empty() {
                query.push(("page_token", &page));
            }
            let url = self.mlflow("registered-models/search", &query);
            let answer = self.store.client.json(Method::GET, &url, &purpose, None).await?;
            let models = answer["registered_models"].as_array().into_iter().flatten();
            names.extend(models.filter_map(|model| model["name"].as_str().map(str::to_owned)));
            match answer["next_page_token"].as_str().filter(|next| !next.is_empty() && *next != page) {
                Some(next) => page = next.to_owned(),
                None => break,
            }
        }
        Ok(names)
    }

    /// The versions of a dataset: all, where GitLab's own API answers, else the latest.
    async fn versions(&self, name: &str) -> Result<Vec<String>, DatasetError> {
        let purpose = self.purpose("list versions", format!("dataset `{name}`"));
        let url = self.mlflow("registered-models/get", &[("name", name)]);
        let answer = self.store.client.json(Method::GET, &url, &purpose, None).await?;
        if let Some(packages) = self.packages(name).await? {
            return Ok(packages.into_iter().map(|(version, _)| version).collect());
        }
        let latest = answer["registered_model"]["latest_versions"].as_array().into_iter().flatten();
        Ok(latest.filter_map(|version| word(&version["version"])).collect())
    }

    /// Versions of a dataset with the number of their package; `None` if GitLab's own API does not say.
    async fn packages(&self, name: &str) -> Result<Option<Vec<(String, u64)>>, DatasetError> {
        let Some(project) = &self.project else { return Ok(None) };
        let mut url = below(project, ["packages"]);
        url.query_pairs_mut().extend_pairs([("package_type", "ml_model"), ("package_name", name)]);
        let purpose = self.purpose("list versions", format!("dataset `{name}`"));
        let Some(packages) = self.pages(url, &purpose).await? else { return Ok(None) };
        // The filter of the API finds parts of names too.
        let own = packages.iter().filter(|package| package["name"].as_str() == Some(name));
        Ok(Some(own.filter_map(|package| Some((word(&package["version"])?, package["id"].as_u64()?))).collect()))
    }

    /// The files of a version with their checksums; `None` if GitLab's own API does not say.
    pub(crate) async fn files(&self, name: &str, version: &str) -> Result<Option<Vec<Entry>>, DatasetError> {
        let (Some(project), Some(packages)) = (&self.project, self.packages(name).await?) else { return Ok(None) };
        let Some((_, package)) = packages.into_iter().find(|(other, _)| other == version) else { return Ok(None) };
        let url = below(project, ["packages", &package.to_string(), "package_files"]);
        let purpose = self.purpose("list files", format!("version `{version}` of the dataset `{name}`"));
        let Some(files) = self.pages(url, &purpose).await? else { return Ok(None) };
        let mut entries: Vec<Entry> = Vec::new();
        for file in files {
            let Some(path) = file["file_name"].as_str().map(decoded) else { continue };
            let address = Address::GitLab {
                name: Some(name.to_owned()),
                version: Some(version.to_owned()),
                file: Some(path.clone()),
            };
            let entry = Entry {
                size: file["size"].as_u64(),
                sha256: file["file_sha256"].as_str().map(str::to_owned),
                file: Some(path.clone()),
                ..Entry::place(address)
            };
            // Of files of one name the latest counts.
            match entries.iter_mut().find(|other| other.file.as_ref() == Some(&path)) {
                Some(other) => *other = entry,
                None => entries.push(entry),
            }
        }
        Ok(Some(entries))
    }

    /// All pages of a list of GitLab's own API; `None` if it is not there or closed.
    async fn pages(&self, mut url: Url, purpose: &Purpose<'_>) -> Result<Option<Vec<Value>>, DatasetError> {
        url.query_pairs_mut().append_pair("per_page", "100");
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let mut url = url.clone();
            url.query_pairs_mut().append_pair("page", &page.to_string());
            let response = self.store.client.ask(Method::GET, &url, purpose, None).await?;
            if matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) {
                return Ok(None);
            }
            let next = response.headers().get("x-next-page").is_some_and(|next| !next.is_empty());
            let answer = read(succeeded(response, purpose).await?, purpose).await?;
            let Value::Array(items) = answer else { return Err(purpose.nonsense("a list is expected")) };
            all.extend(items);
            if !next {
                break;
            }
        }
        Ok(Some(all))
    }

    /// A version as the registry knows it; `None` if it does not exist.
    async fn find_version(&self, name: &str, version: &str) -> Result<Option<Value>, DatasetError> {
        let purpose = self.purpose("look up a version", format!("version `{version}` of the dataset `{name}`"));
        let url = self.mlflow("model-versions/get", &[("name", name), ("version", version)]);
        let response = self.store.client.ask(Method::GET, &url, &purpose, None).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let mut answer = read(succeeded(response, &purpose).await?, &purpose).await?;
        Ok(Some(answer["model_version"].take()))
    }

    async fn version(&self, name: &str, version: &str) -> Result<Value, DatasetError> {
        let what = format!("version `{version}` of the dataset `{name}`");
        self.find_version(name, version).await?.ok_or(DatasetError::Missing { place: PLACE, what })
    }

    /// Makes the dataset and its version unless they are there.
    async fn make_version(&self, name: &str, version: &str) -> Result<Value, DatasetError> {
        if let Some(found) = self.find_version(name, version).await? {
            return Ok(found);
        }
        let purpose = self.purpose(format!("make the dataset `{name}`"), "project at `mlflow_tracking_uri`");
        let url = self.mlflow("registered-models/get", &[("name", name)]);
        let there = self.store.client.ask(Method::GET, &url, &purpose, None).await?;
        if there.status() == StatusCode::NOT_FOUND {
            let url = self.mlflow("registered-models/create", &[]);
            let made = self.store.client.ask(Method::POST, &url, &purpose, Some(&json!({"name": name}))).await?;
            // Somebody else may have made it meanwhile; then making the version succeeds.
            if !made.status().is_success() && !matches!(made.status().as_u16(), 400 | 409) {
                return Err(refused(made, &purpose).await);
            }
        } else {
            succeeded(there, &purpose).await?;
        }
        let purpose = purpose.to(format!("make version `{version}` of the dataset `{name}`"));
        let body = json!({"name": name, "source": version, "tags": [{"key": "gitlab.version", "value": version}]});
        let url = self.mlflow("model-versions/create", &[]);
        let made = self.store.client.ask(Method::POST, &url, &purpose, Some(&body)).await?;
        if made.status().is_client_error()
            && let Some(found) = self.find_version(name, version).await?
        {
            return Ok(found);
        }
        let mut answer = read(succeeded(made, &purpose).await?, &purpose).await?;
        Ok(answer["model_version"].take())
    }

    /// Where the files of a version lie.
    async fn artifacts(&self, version: &Value, purpose: &Purpose<'_>) -> Result<Url, DatasetError> {
        let run = word(&version["run_id"]).filter(|run| !run.is_empty());
        let run = run.ok_or_else(|| purpose.nonsense("the version has no `run_id`"))?;
        let url = self.mlflow("runs/get", &[("run_id", &run)]);
        let answer = self.store.client.json(Method::GET, &url, purpose, None).await?;
        let uri = answer["run"]["info"]["artifact_uri"].as_str();
        let uri = uri.ok_or_else(|| purpose.nonsense("the run has no `artifact_uri`"))?;
        // MLflow's own server hands files on under its own address.
        if let Some(path) = uri.strip_prefix("mlflow-artifacts:") {
            let path = path.trim_start_matches('/').split('/').filter(|part| !part.is_empty());
            return Ok(below(&self.base, ["api", "2.0", "mlflow-artifacts", "artifacts"].into_iter().chain(path)));
        }
        let url =
            Url::parse(uri).map_err(|error| purpose.nonsense(format!("`artifact_uri` is no address: {error}")))?;
        let both_here = is_local(&url) && is_local(&self.base) && url.port() == self.base.port();
        if url.origin() == self.base.origin() || both_here {
            return Ok(url);
        }
        // The token would go to another server.
        let host = url.host_str().unwrap_or_default();
        Err(purpose.nonsense(format!("the files lie on another server (`{host}`) than `mlflow_tracking_uri`")))
    }

    pub(crate) async fn push(
        &self,
        file: &Path,
        name: &str,
        version: &str,
        path: &str,
    ) -> Result<Pushed, DatasetError> {
        let found = digests(file).map_err(problem(file))?;
        let purpose = self.purpose(format!("take `{path}`"), format!("version `{version}` of the dataset `{name}`"));
        let made = self.make_version(name, version).await?;
        // GitLab takes the version from the tag, MLflow's own server counts.
        let version = word(&made["version"]).unwrap_or_else(|| version.to_owned());
        let is_it = |entry: &&Entry| entry.file.as_deref() == Some(path);
        let there = self.files(name, &version).await?;
        let there = there.as_ref().and_then(|files| files.iter().find(is_it));
        let already_there = there.is_some_and(|entry| {
            entry.sha256.as_ref().is_some_and(|sha256| sha256.eq_ignore_ascii_case(&found.sha256))
        });
        let mut verified = already_there;
        if !already_there {
            self.put(file, &found, &made, path, &purpose).await?;
            let files = self.files(name, &version).await?.unwrap_or_default();
            if let Some(sha256) = files.iter().find(is_it).and_then(|entry| entry.sha256.clone()) {
                Expected { sha256: Some(sha256), ..Expected::default() }.check(path, &found)?;
                verified = true;
            }
        }
        let address =
            Address::GitLab { name: Some(name.to_owned()), version: Some(version), file: Some(path.to_owned()) };
        let (size, sha256) = (found.size, found.sha256);
        Ok(Pushed { address: address.to_string(), size, sha256, already_there, verified, page: None })
    }

    async fn put(
        &self,
        file: &Path,
        found: &Digests,
        version: &Value,
        path: &str,
        purpose: &Purpose<'_>,
    ) -> Result<(), DatasetError> {
        let url = below(&self.artifacts(version, purpose).await?, path.split('/'));
        let client = &self.store.client;
        let response = client
            .send(purpose, found.size, async || {
                let body = part(file.to_owned(), 0, found.size).await.map_err(problem(file))?;
                let request = client.request(Method::PUT, &url, purpose);
                let request = request.header(header::CONTENT_LENGTH, found.size);
                Ok(request.header(header::CONTENT_TYPE, "application/octet-stream").body(Body::wrap_stream(body)))
            })
            .await?;
        succeeded(response, purpose).await?;
        if digests(file).map_err(problem(file))? == *found {
            Ok(())
        } else {
            Err(DatasetError::Changed { path: file.display().to_string() })
        }
    }

    pub(crate) async fn pull(
        &self,
        name: &str,
        version: &str,
        path: &str,
        target: &Path,
        expected: &Expected,
    ) -> Result<Digests, DatasetError> {
        let what = format!("file `{path}` in version `{version}` of the dataset `{name}`");
        let purpose = self.purpose(format!("give `{path}`"), what);
        let version = self.version(name, version).await?;
        let url = below(&self.artifacts(&version, &purpose).await?, path.split('/'));
        self.store.client.download(&url, &purpose, target, expected).await
    }
}

/// A text, or a number as text.
fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()))
}

/// GitLab keeps a path in a file's name with its slashes encoded.
fn decoded(name: &str) -> String {
    name.replace("%2F", "/").replace("%2f", "/").replace("%20", " ")
}
