// SPDX-License-Identifier: Apache-2.0
//! Whole pushes and pulls against servers on loopback.

use std::{path::PathBuf, time::Duration};

use crate::{Address, DatasetError, GitLab, HuggingFace, Settings, Store, Token, http::Patience};
use gym_tests::registries::{Fault, Shared, TOKEN, start};

struct Bench {
    world: Shared,
    store: Store,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with_token(TOKEN).await
    }

    async fn with_token(token: &str) -> Self {
        let world = start().await;
        let folder = tempfile::tempdir().unwrap();
        let url = world.lock().url.clone();
        let settings = Settings {
            gitlab: GitLab {
                tracking_uri: Some(format!("{url}/gl/api/v4/projects/7/ml/mlflow/")),
                tracking_token: Token::new(token),
            },
            hugging_face: HuggingFace { endpoint: Some(url), token: Token::new(token), ..HuggingFace::default() },
            memory: Some(folder.path().join("memory")),
        };
        let patience = Patience { attempts: 3, wait: Duration::from_millis(1) };
        let store = Store::with_patience(settings, patience).unwrap();
        Self { world, store, folder }
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn fault(&self, text: &str, fault: Fault) {
        self.world.lock().faults.push_back((text.to_owned(), fault));
    }

    fn asked(&self, text: &str) -> usize {
        self.world.lock().log.iter().filter(|line| line.contains(text)).count()
    }

    async fn push(&self, file: &std::path::Path, to: &str) -> Result<crate::Pushed, DatasetError> {
        self.store.push(file, &to.parse().unwrap()).await
    }

    async fn pull(&self, from: &str, target: &std::path::Path) -> Result<crate::Pulled, DatasetError> {
        self.store.pull(&from.parse().unwrap(), target, false).await
    }

    async fn list(&self, address: &str) -> Vec<String> {
        let address: Address = address.parse().unwrap();
        self.store.list(&address).await.unwrap().into_iter().map(|entry| entry.address).collect()
    }

    /// Names of all files beside the target, hidden ones too.
    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Rows that do not repeat, so that a part in the wrong place shows.
fn rows(count: usize) -> Vec<u8> {
    (0..count).flat_map(|row| format!("{{\"row\":{row}}}\n").into_bytes()).collect()
}

#[tokio::test]
async fn gitlab_keeps_a_file_and_gives_it_back() {
    let bench = Bench::new().await;
    let file = bench.file("train.jsonl", &rows(1000));
    let pushed = bench.push(&file, "gitlab:my_set/0.0.1").await.unwrap();
    assert_eq!(pushed.address, "gitlab:my_set/0.0.1/train.jsonl");
    assert!(pushed.verified && !pushed.already_there);
    let again = bench.push(&file, "gitlab:my_set/0.0.1").await.unwrap();
    assert!(again.already_there);
    assert_eq!(bench.asked("PUT "), 1);
    bench.push(&file, "gitlab:my_set/0.0.2/deep/a b.jsonl").await.unwrap();
    bench.push(&file, "gitlab:my_set_2/1.0.0").await.unwrap();
    assert_eq!(bench.list("gitlab:").await, ["gitlab:my_set", "gitlab:my_set_2"]);
    assert_eq!(bench.list("gitlab:my_set").await, ["gitlab:my_set/0.0.1", "gitlab:my_set/0.0.2"]);
    assert_eq!(bench.list("gitlab:my_set/0.0.2").await, ["gitlab:my_set/0.0.2/deep/a b.jsonl"]);
    for from in ["gitlab:my_set/0.0.1/train.jsonl", "gitlab:my_set/0.0.2", "gitlab:my_set/0.0.2/deep/a b.jsonl"] {
        let target = bench.folder.path().join("pulled.jsonl");
        let pulled = bench.pull(from, &target).await.unwrap();
        assert!(pulled.verified && !pulled.already_there, "{from}");
        assert_eq!(std::fs::read(&target).unwrap(), rows(1000), "{from}");
        assert!(bench.pull(from, &target).await.unwrap().already_there);
        std::fs::remove_file(&target).unwrap();
    }
}

#[tokio::test]
async fn gitlab_works_without_its_own_api_too() {
    let bench = Bench::new().await;
    bench.world.lock().packages = false;
    let file = bench.file("train.jsonl", &rows(10));
    let pushed = bench.push(&file, "gitlab:my_set/0.0.1").await.unwrap();
    assert!(!pushed.verified && !pushed.already_there);
    let target = bench.folder.path().join("pulled.jsonl");
    let pulled = bench.pull("gitlab:my_set/0.0.1/train.jsonl", &target).await.unwrap();
    assert!(!pulled.verified);
    assert_eq!(std::fs::read(&target).unwrap(), rows(10));
    assert!(matches!(bench.pull("gitlab:my_set/0.0.1/other", &target).await, Err(DatasetError::Exists { .. })));
}

#[tokio::test]
async fn the_hub_keeps_small_and_large_files() {
    for (large_from, chunk) in [(1 << 20, 1 << 20), (100, 1 << 20), (100, 1000), (100, 12_345)] {
        let bench = Bench::new().await;
        {
            let mut world = bench.world.lock();
            (world.large_from, world.chunk) = (large_from, chunk);
        }
        let file = bench.file("train.jsonl", &rows(2000));
        let pushed = bench.push(&file, "hf:o/n/data/train.jsonl").await.unwrap();
        assert_eq!(pushed.address, "hf:o/n/data/train.jsonl");
        assert!(pushed.verified && !pushed.already_there && pushed.page.is_some());
        {
            let world = bench.world.lock();
            assert_eq!(world.files["data/train.jsonl"], rows(2000));
            assert_eq!(world.repos[0]["private"], true);
            assert_eq!(world.repos[0]["organization"], "o");
            let header: serde_json::Value = serde_json::from_str(world.commits[0].lines().next().unwrap()).unwrap();
            assert_eq!(header["key"], "header");
        }
        assert!(bench.push(&file, "hf:o/n/data/train.jsonl").await.unwrap().already_there);
        assert_eq!(bench.world.lock().commits.len(), 1);
        assert_eq!(bench.list("hf:o/n").await, ["hf:o/n/data/train.jsonl"]);
        for from in ["hf:o/n", "hf:o/n/data/train.jsonl"] {
            let target = bench.folder.path().join("pulled.jsonl");
            let pulled = bench.pull(from, &target).await.unwrap();
            assert!(pulled.verified, "{from}");
            assert_eq!(std::fs::read(&target).unwrap(), rows(2000), "{from}");
            std::fs::remove_file(&target).unwrap();
        }
        // Nothing of an upload that is done is remembered.
        assert_eq!(std::fs::read_dir(bench.folder.path().join("memory")).map_or(0, Iterator::count), 0);
    }
    let bench = Bench::new().await;
    assert_eq!(bench.list("hf:o").await, ["hf:o/one", "hf:o/two"]);
}

#[tokio::test]
async fn an_upload_that_was_cut_off_goes_on_where_it_stopped() {
    let bench = Bench::new().await;
    {
        let mut world = bench.world.lock();
        (world.large_from, world.chunk) = (100, 2000);
    }
    let content = rows(1000);
    let count = content.len().div_ceil(2000);
    let file = bench.file("train.jsonl", &content);
    let sent =
        |number: usize| bench.world.lock().log.iter().filter(|line| line.ends_with(&format!("/{number}"))).count();
    // The address of the fifth part ends its request line.
    let oid = crate::local::digests(&file).unwrap().sha256;
    let fifth = format!("/signed/part/{oid}/5");
    for _ in 0..3 {
        bench.fault(&fifth, Fault::Status(500));
    }
    let error = bench.push(&file, "hf:o/n").await.unwrap_err();
    assert!(matches!(error, DatasetError::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("/signed/"), "{error}");
    assert!(bench.world.lock().commits.is_empty());
    let before: Vec<usize> = (1..=count).map(sent).collect();
    let pushed = bench.push(&file, "hf:o/n").await.unwrap();
    assert!(pushed.verified);
    assert_eq!(bench.world.lock().files["train.jsonl"], content);
    let after: Vec<usize> = (1..=count).map(sent).collect();
    assert_eq!(before[0], 1);
    assert_eq!(after[0], 1, "the first part was sent again");
    assert_eq!(after[4], before[4] + 1);
}

#[tokio::test]
async fn remembered_addresses_that_expired_are_asked_for_anew() {
    let bench = Bench::new().await;
    {
        let mut world = bench.world.lock();
        (world.large_from, world.chunk) = (100, 2000);
    }
    let file = bench.file("train.jsonl", &rows(1000));
    for _ in 0..3 {
        bench.fault("POST /complete", Fault::Status(503));
    }
    assert!(bench.push(&file, "hf:o/n").await.is_err());
    bench.fault("POST /complete", Fault::Status(403));
    bench.push(&file, "hf:o/n").await.unwrap();
    assert_eq!(bench.world.lock().files["train.jsonl"], rows(1000));
}

#[tokio::test]
async fn passing_faults_are_overcome() {
    let bench = Bench::new().await;
    bench.world.lock().large_from = 100;
    let file = bench.file("train.jsonl", &rows(5000));
    for text in ["registered-models/create", "PUT ", "preupload", "objects/batch", "/signed/whole", "/commit/"] {
        bench.fault(text, Fault::Status(500));
        bench.fault(text, Fault::Status(429));
    }
    bench.push(&file, "gitlab:s/1.0.0").await.unwrap();
    bench.push(&file, "hf:o/n").await.unwrap();
    bench.fault("GET /cdn/", Fault::CutAfter(1000));
    bench.fault("GET /cdn/", Fault::CutAfter(0));
    bench.fault("GET /cdn/", Fault::CutAfter(5000));
    bench.fault("GET /gl/api/v4/projects/7/packages/ml_models/", Fault::CutAfter(1));
    for from in ["hf:o/n/train.jsonl", "gitlab:s/1.0.0/train.jsonl"] {
        let target = bench.folder.path().join("pulled.jsonl");
        bench.pull(from, &target).await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), rows(5000), "{from}");
        std::fs::remove_file(&target).unwrap();
    }
    assert!(bench.world.lock().faults.is_empty());
    assert_eq!(bench.left(), ["train.jsonl"].map(str::to_owned));
}

#[tokio::test]
async fn a_pull_that_was_cut_off_goes_on_where_it_stopped() {
    let bench = Bench::new().await;
    bench.world.lock().large_from = 100;
    let file = bench.file("train.jsonl", &rows(5000));
    bench.push(&file, "hf:o/n").await.unwrap();
    let target = bench.folder.path().join("pulled.jsonl");
    bench.fault("GET /cdn/", Fault::CutAfter(4000));
    for _ in 0..5 {
        bench.fault("GET /cdn/", Fault::CutAfter(0));
    }
    let error = bench.pull("hf:o/n", &target).await.unwrap_err();
    assert!(matches!(error, DatasetError::Unreachable { .. }), "{error}");
    assert!(!target.exists());
    bench.world.lock().faults.clear();
    assert!(bench.left().iter().any(|name| name.ends_with(".partial")), "{:?}", bench.left());
    bench.pull("hf:o/n", &target).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), rows(5000));
    assert!(bench.world.lock().ranges.contains(&"bytes=4000-".to_owned()), "{:?}", bench.world.lock().ranges);
}

#[tokio::test]
async fn what_arrives_wrong_is_not_kept() {
    let bench = Bench::new().await;
    let file = bench.file("train.jsonl", &rows(50));
    bench.push(&file, "gitlab:s/1.0.0").await.unwrap();
    bench.push(&file, "hf:o/n").await.unwrap();
    let target = bench.folder.path().join("pulled.jsonl");
    for (from, text) in [
        ("gitlab:s/1.0.0/train.jsonl", "GET /gl/api/v4/projects/7/packages/ml_models/"),
        ("hf:o/n/train.jsonl", "GET /datasets/o/n/resolve/"),
    ] {
        bench.fault(text, Fault::Garbled);
        let error = bench.pull(from, &target).await.unwrap_err();
        assert!(matches!(error, DatasetError::Checksum { .. }), "{from}: {error}");
        assert_eq!(bench.left(), ["train.jsonl"].map(str::to_owned), "{from}");
    }
    std::fs::write(&target, "mine").unwrap();
    let error = bench.pull("hf:o/n/train.jsonl", &target).await.unwrap_err();
    assert!(matches!(error, DatasetError::Exists { .. }), "{error}");
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
    bench.store.pull(&"hf:o/n/train.jsonl".parse().unwrap(), &target, true).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), rows(50));
}

#[tokio::test]
async fn faults_have_names_and_no_tokens() {
    let wrong = Bench::with_token("hf_wrong_token_123").await;
    let file = wrong.file("train.jsonl", &rows(5));
    for to in ["gitlab:s/1.0.0", "hf:o/n"] {
        let error = wrong.push(&file, to).await.unwrap_err();
        assert!(matches!(error, DatasetError::Token { .. }), "{to}: {error}");
        assert!(error.hint().unwrap().contains("env.yaml"));
    }
    let bench = Bench::new().await;
    let target = bench.folder.path().join("pulled.jsonl");
    for from in ["gitlab:s/1.0.0/x", "hf:o/n/x"] {
        let error = bench.pull(from, &target).await.unwrap_err();
        assert!(matches!(error, DatasetError::Missing { .. }), "{from}: {error}");
    }
    for status in [400, 403, 409, 500] {
        for _ in 0..3 {
            bench.fault("model-versions/get", Fault::Status(status));
        }
        let error = bench.push(&file, "gitlab:s/1.0.0").await.unwrap_err();
        let text = format!("{error} {error:?} {:?} {:?}", error.hint(), bench.store);
        assert!(!text.contains(TOKEN) && text.contains("****"), "{status}: {text}");
        bench.world.lock().faults.clear();
    }
    let none = Store::new(Settings::default()).unwrap();
    let error = none.list(&"gitlab:".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, DatasetError::Setting { key: "mlflow_tracking_uri", .. }), "{error}");
    let error = none.push(&file, &"hf:o/n".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, DatasetError::Setting { key: "hf_token", .. }), "{error}");
    // The content that the hub's own rules leave out.
    let error = bench.push(&file, "hf:o/n/ignored").await.unwrap_err();
    assert!(matches!(error, DatasetError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_split_is_found_by_the_words_of_paths() {
    let bench = Bench::new().await;
    let cases: [(&[&str], &str, Result<&str, &str>); 9] = [
        (&["train.jsonl", "validation.jsonl"], "validation", Ok("validation.jsonl")),
        (&["train.jsonl", "dev.jsonl", "README.md"], "validation", Ok("dev.jsonl")),
        // What is nearest to the file counts.
        (&["train/a_val.jsonl", "train/a.jsonl"], "train", Ok("train/a.jsonl")),
        (&["data/train-00000-of-00001.jsonl"], "train", Ok("data/train-00000-of-00001.jsonl")),
        (&["rows.jsonl", "test.jsonl"], "train", Ok("rows.jsonl")),
        (&["constraints.jsonl"], "validation", Err("which of 1 files is the split `validation`: constraints.jsonl")),
        (&["train-0.jsonl", "train-1.jsonl"], "train", Err("which of the 2 files of the split `train`")),
        (&["a.jsonl", "b.jsonl"], "train", Err("which of the 2 files of the split `train`: a.jsonl, b.jsonl")),
        (&["train.parquet"], "train", Err("a file of rows (.jsonl)")),
    ];
    for (files, split, expected) in cases {
        bench.world.lock().files = files.iter().map(|name| ((*name).to_owned(), rows(1))).collect();
        let found = bench.store.of_split(&"hf:o/n".parse().unwrap(), split).await;
        match (found, expected) {
            (Ok(address), Ok(file)) => assert_eq!(address.to_string(), format!("hf:o/n/{file}")),
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (found, _) => panic!("{files:?} {split}: {found:?}"),
        }
    }
    for text in ["hf:o/n/a.jsonl", "gitlab:n/1/a.jsonl"] {
        let address: Address = text.parse().unwrap();
        assert_eq!(bench.store.of_split(&address, "train").await.unwrap(), address);
    }
}

#[tokio::test]
async fn folders_are_places_too() {
    let bench = Bench::new().await;
    let file = bench.file("train.jsonl", &rows(5));
    let folder = bench.folder.path().join("store");
    let to = format!("{}/", folder.display());
    assert!(!bench.push(&file, &to).await.unwrap().already_there);
    assert!(bench.push(&file, &to).await.unwrap().already_there);
    assert_eq!(bench.list(&to).await, [folder.join("train.jsonl").display().to_string()]);
    let target = bench.folder.path().join("pulled.jsonl");
    bench.pull(&to, &target).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), rows(5));
    assert!(matches!(bench.pull("/nowhere/at/all", &target).await, Err(DatasetError::File { .. })));
}
