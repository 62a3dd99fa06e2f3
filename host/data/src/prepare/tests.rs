// SPDX-License-Identifier: Apache-2.0
//! Statistics worked out by hand, and what is left on the disk.

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::prompt::Prompt;

struct Case {
    folder: TempDir,
    preparation: Preparation,
}

impl Case {
    fn new(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("example.jsonl");
        std::fs::write(&path, content).unwrap();
        let mut dataset = Dataset::new("my_agent", "example", DatasetKind::Example, "data/example.jsonl", path);
        dataset.agent = Some("my_agent".to_owned());
        let preparation = Preparation {
            mode: Mode::ExampleValidation,
            datasets: vec![dataset],
            output: folder.path().join("out"),
            overwrite_metrics_conflicts: false,
            keep_invalid_rows: false,
            threads: 2,
            tokens: None,
        };
        Self { folder, preparation }
    }

    fn dataset(&mut self) -> &mut Dataset {
        &mut self.preparation.datasets[0]
    }

    /// The result, and the problems as `line field: reason`.
    fn run(&self) -> (Result<Prepared, PrepareError>, Vec<String>) {
        let mut problems = Vec::new();
        let result = prepare(&self.preparation, &mut |event| {
            if let PrepareEvent::Problem(problem) = event {
                problems.push(format!("{} {}: {}", problem.line, problem.field, problem.reason));
            }
        });
        (result, problems)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = ["", "out"]
            .iter()
            .filter_map(|folder| std::fs::read_dir(self.folder.path().join(folder)).ok())
            .flatten()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().is_file())
            .map(|entry| entry.path().strip_prefix(self.folder.path()).unwrap().display().to_string())
            .collect();
        files.sort();
        files
    }
}

fn row(rest: &str) -> String {
    format!("{{\"responses_create_params\":{{\"input\":\"hi\"}}{rest}}}\n")
}

#[test]
fn statistics_have_their_names_order_and_rounding() {
    let rows = [
        // `{"input": "a b", "temperature": 0.5}` has five words.
        r#"{"responses_create_params":{"input":"a b","temperature":0.5},"answer":"A","score":1,"list":[1,true,"x",{"y":1}],"none":null,"object":{}}"#,
        // `{"input": [{"role": "user", "content": "x"}, {"role": "assistant", …}, {"role": "user", …}], "tools": []}`
        r#"{"responses_create_params":{"input":[{"role":"user","content":"x"},{"role":"assistant","content":"y"},{"role":"user","content":"z"}],"tools":[]},"answer":"B","score":2.5}"#,
        // `{"input": "\u00e9\n"}`: no white space but the separator's.
        r#"{"responses_create_params":{"input":"é\n"},"answer":"A","score":-1}"#,
    ];
    let mut case =
        Case::new(&rows.join("\n").replace(",\"list\":[1,true,\"x\",{\"y\":1}]", ",\"list\":[1,true,{\"y\":1}]"));
    case.dataset().license = Some("Lizénz".to_owned());
    let (result, problems) = case.run();
    assert_eq!((result.unwrap().rows, problems), (3, Vec::<String>::new()));
    let numbers = |count: u64, average: f64, min: f64, max: f64, deviation: f64| json!({"Total # non-null values": count, "Average": average, "Min": min, "Max": max, "Standard deviation": deviation});
    let expected = json!({
        "name": "example", "type": "example", "jsonl_fpath": "data/example.jsonl", "num_repeats": 1, "source": null,
        "gitlab_identifier": null, "huggingface_identifier": null, "license": "Lizénz",
        "Number of examples": 3,
        "Number of tools": numbers(1, 0.0, 0.0, 0.0, 0.0),
        // 5, 15 and 2 words: mean 22/3; the squares of -7/3, 23/3 and -16/3 sum to 834/9, half of that is 46.33.
        "Json-dumped number of words (proxy for token count)": numbers(3, 7.33, 2.0, 15.0, 6.81),
        // One, two and one.
        "Number of turns": numbers(3, 1.33, 1.0, 2.0, 0.577),
        "Temperature": numbers(1, 0.5, 0.5, 0.5, 0.0),
        "answer": {"unique_count": 2, "total_count": 3},
        // 1, 2.5 and -1: mean 5/6, deviation 1.756.
        "score": numbers(3, 0.833, -1.0, 2.5, 1.76),
        "list": numbers(2, 1.0, 1.0, 1.0, 0.0),
    });
    let text = case.text("example_metrics.json");
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found, expected);
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    assert!(text.starts_with("{\n    \"name\": \"example\",\n") && text.ends_with("\n}"), "{text}");
    assert!(text.contains("\"Liz\\u00e9nz\"") && text.contains("\"Average\": 0.0,"), "{text}");
    assert_eq!(case.text("out/example_metrics.json"), text);
}

#[test]
fn rows_are_written_with_their_agent_as_python_writes_them() {
    let mut case =
        Case::new("{\"a\":1.50,\"agent_ref\":{\"name\":\"old\"},\"responses_create_params\":{\"input\":\"é\"}}\n");
    case.dataset().num_repeats = 2;
    let prepared = case.run().0.unwrap();
    let line = r#"{"a": 1.5, "agent_ref": {"type": "responses_api_agents", "name": "my_agent"}, "responses_create_params": {"input": "\u00e9"}, "task_source": "my_agent"}"#;
    assert_eq!(case.text("out/example.jsonl"), format!("{line}\n{line}\n"));
    assert_eq!(case.text("example_prepare.jsonl"), case.text("out/example.jsonl"));
    assert_eq!(case.json("example_metrics.json")["Number of examples"], 2);
    assert_eq!(prepared.files[&DatasetKind::Example], case.folder.path().join("out/example.jsonl"));
    case.dataset().agent = None;
    case.run().0.unwrap();
    assert!(!case.text("out/example.jsonl").contains("agent_ref"));
}

#[test]
fn every_row_that_is_not_right_is_named_and_nothing_is_written() {
    let content = [
        row(""),
        "{\"responses_create_params\":\n".to_owned(),
        row(",\"x\":1"),
        "\n".to_owned(),
        "{}\n".to_owned(),
        "{\"responses_create_params\":{\"input\":5}}\n".to_owned(),
        row(",\"x\":\"text\""),
        "{\"responses_create_params\":{\"input\":\"hi\",\"temprature\":1}}\n".to_owned(),
        format!(
            "{{\"responses_create_params\":{{\"input\":\"hi\"}},\"deep\":{}{}}}\n",
            "[".repeat(600),
            "]".repeat(600)
        ),
    ];
    let mut case = Case::new(&content.concat());
    case.dataset().check = Some(std::sync::Arc::new(|row| {
        let bad = row.get("x").filter(|x| x.as_str() == "1");
        bad.map(|_| RowError { field: "x".to_owned(), reason: "must not be 1".to_owned() }).into_iter().collect()
    }));
    let (result, problems) = case.run();
    assert!(matches!(result, Err(PrepareError::Invalid { rows: 7 })), "{result:?} {problems:#?}");
    let starts = [
        "2 : the line is not a JSON object: ",
        "3 x: must not be 1",
        "4 : the line is empty",
        "5 responses_create_params: Field required",
        "6 responses_create_params.input.str: Input should be a valid string",
        "6 responses_create_params.input.list: Input should be a valid list",
        "8 responses_create_params.temprature: Extra inputs are not permitted",
        "9 : the row is nested more than 500 levels deep",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
    assert_eq!(case.files(), ["example.jsonl"]);
    case.preparation.keep_invalid_rows = true;
    assert_eq!(case.run().0.unwrap().invalid_rows, 7);
    assert_eq!(case.json("example_metrics.json")["Number of examples"], 2);
    // What is JSON and not too deep is written, right or not.
    assert_eq!(case.text("out/example.jsonl").lines().count(), 6);
}

#[test]
fn a_field_of_two_kinds_is_an_error() {
    let (result, problems) = Case::new(&(row(",\"x\":1") + &row(",\"x\":\"y\""))).run();
    assert!(matches!(result, Err(PrepareError::Invalid { rows: 1 })));
    assert_eq!(problems, ["2 x: a number here and a text in an earlier row, or the other way round"]);
}

#[test]
fn a_conflict_leaves_what_was_there() {
    let mut case = Case::new(&row(",\"x\":1"));
    case.run().0.unwrap();
    let before = (case.text("example_metrics.json"), case.text("out/example.jsonl"));
    std::fs::write(case.folder.path().join("example.jsonl"), row(",\"x\":2")).unwrap();
    let (result, _) = case.run();
    let Err(PrepareError::Conflicts { files }) = result else { panic!("{result:?}") };
    let places: Vec<_> =
        files.iter().map(|(path, _)| path.strip_prefix(case.folder.path()).unwrap().display().to_string()).collect();
    assert_eq!(places, ["example_metrics.json", "out/example_metrics.json"]);
    assert_eq!(files[0].1[0], "`x.Average` was 1.0 and is 2.0");
    assert_eq!(before, (case.text("example_metrics.json"), case.text("out/example.jsonl")));
    assert_eq!(case.json("example_metrics_conflict.json")["x"]["Average"], 2.0);
    assert!(!case.files().iter().any(|file| file.contains("partial")));
    case.preparation.overwrite_metrics_conflicts = true;
    assert_eq!(case.run().0.unwrap().overwritten.len(), 2);
    assert_eq!(case.json("example_metrics.json")["x"]["Average"], 2.0);
    assert_eq!(
        case.files(),
        [
            "example.jsonl",
            "example_metrics.json",
            "example_prepare.jsonl",
            "out/example.jsonl",
            "out/example_metrics.json"
        ]
    );
}

#[test]
fn tokens_are_counted_in_files_of_their_own() {
    let row = |words: &str| format!("{{\"responses_create_params\":{{\"input\":\"{words}\"}}}}\n");
    let mut case = Case::new(&(row("one two") + &row("one two three four")));
    case.dataset().num_repeats = 2;
    let tokenizer = crate::tokens::tests::words();
    case.preparation.tokens = Some(TokenCounter::load(tokenizer.path()).unwrap());
    case.run().0.unwrap();
    let counts = case.json("example_token_metrics.json");
    assert_eq!(counts["Number of examples"], 4);
    assert_eq!(counts["Total number of tokens"], 12);
    // 2, 2, 4, 4: the squares of the distances add up to 4, a third of that is 1.333, its root 1.1547.
    let expected = json!({"Total # non-null values": 4, "Average": 3.0, "Min": 2.0, "Max": 4.0,
        "Standard deviation": 1.15});
    assert_eq!(counts["Number of tokens"], expected);
    assert_eq!(case.json("out/example_token_metrics.json")["Number of tokens"], expected);
    assert!(case.json("example_metrics.json").get("Number of tokens").is_none(), "NeMo Gym's file has its keys only");
    // The same tokenizer must count the same again; another one may count otherwise.
    std::fs::write(case.folder.path().join("example.jsonl"), row("one")).unwrap();
    for name in ["example_metrics.json", "out/example_metrics.json"] {
        std::fs::remove_file(case.folder.path().join(name)).unwrap();
    }
    assert!(matches!(case.run().0, Err(PrepareError::Conflicts { files }) if files.len() == 2));
    std::fs::write(tokenizer.path(), std::fs::read_to_string(tokenizer.path()).unwrap() + " ").unwrap();
    case.preparation.tokens = Some(TokenCounter::load(tokenizer.path()).unwrap());
    case.run().0.unwrap();
    assert_eq!(case.json("example_token_metrics.json")["Total number of tokens"], 2);
}

#[test]
fn statistics_that_agree_are_not_written_again() {
    let case = Case::new(&row(",\"x\":1"));
    case.run().0.unwrap();
    let path = case.folder.path().join("example_metrics.json");
    let shorter = r#"{"Number of examples": 1}"#;
    let of_type = case.folder.path().join("out/example_metrics.json");
    let whole = case.text("out/example_metrics.json");
    for path in [&path, &of_type] {
        std::fs::write(path, shorter).unwrap();
    }
    case.run().0.unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), shorter);
    assert_eq!(case.text("out/example_metrics.json"), whole, "the one of the type is of this run");
}

#[test]
fn fields_that_begin_with_an_underscore_are_no_statistics() {
    let case = Case::new(&(row(",\"_ng_task_index\":4,\"_note\":\"x\",\"x_\":1") + &row(",\"_note\":5")));
    case.run().0.unwrap();
    let metrics = case.json("example_metrics.json");
    assert_eq!(metrics["x_"]["Average"], 1.0);
    assert!(!metrics.as_object().unwrap().keys().any(|name| name.starts_with('_')), "{metrics}");
    assert!(case.text("out/example.jsonl").contains("\"_note\": \"x\""));
}

#[test]
fn rows_of_a_taskset_become_tasks() {
    let rows = [
        row(",\"x\":1,\"agent_ref\":{\"name\":\"old\"},\"_ng_rollout_id\":\"r\""),
        "{\"x\":2,\"problem_id\":\"p\"}\n".to_owned(),
    ];
    let mut case = Case::new(&rows.concat());
    case.dataset().num_repeats = 2;
    let mut second = case.preparation.datasets[0].clone();
    second.taskset = Some("set".to_owned());
    second.instance = "other".to_owned();
    case.dataset().slice = Slice { start: None, end: Some(1) };
    case.preparation.datasets.push(second);
    case.run().0.unwrap();
    // The row of the first dataset is number 0. A row without parameters is its environment's to check.
    let one = r#"{"task_id": {"taskset": "set", "task_id": "1"}, "task_input": {"responses_create_params": {"input": "hi"}, "x": 1}, "_ng_rollout_id": "r"}"#;
    let two = r#"{"task_id": {"taskset": "set", "task_id": "p"}, "task_input": {"x": 2, "problem_id": "p"}}"#;
    assert_eq!(case.text("example_prepare.other.jsonl"), format!("{one}\n{one}\n{two}\n{two}\n"));
    let metrics = case.json("out/example_metrics.json");
    assert_eq!((&metrics["Number of examples"], metrics.get("Number of tasks")), (&json!(6), None));
    assert_eq!(metrics["Number of turns"]["Total # non-null values"], 4);
    case.dataset().taskset = Some("first".to_owned());
    std::fs::write(case.folder.path().join("example.jsonl"), "{\"task_id\":{\"a\":1}}\n{\"task_id\":\"\"}\n").unwrap();
    case.preparation.datasets.truncate(1);
    case.dataset().slice = Slice::default();
    let (_, problems) = case.run();
    assert_eq!(
        problems,
        [
            "1 task_id: the dataset has a `taskset`, so its rows are flat, and this one is a task already",
            "2 task_id: String should have at least 1 character"
        ]
    );
}

#[test]
fn tasks_that_are_materialised_already_are_counted_by_their_set() {
    let task = |set: &str, input: &str| {
        format!(
            "{{\"task_id\":{{\"taskset\":\"{set}\",\"task_id\":\"1\"}},\"task_input\":{input},\"agent_ref\":{{}},\"x\":1}}\n"
        )
    };
    let rows = [task("b", r#"{"responses_create_params":{"input":"hi"}}"#), row(",\"y\":1"), task("a", "{}")];
    let case = Case::new(&rows.concat());
    case.run().0.unwrap();
    let metrics = case.json("example_metrics.json");
    let names: Vec<&str> = metrics.as_object().unwrap().keys().map(String::as_str).skip(8).collect();
    assert_eq!(
        names,
        [
            "Number of examples",
            "Number of tasks",
            "Number of tools",
            "Json-dumped number of words (proxy for token count)",
            "Json-dumped task-input words (proxy for token count)",
            "Number of turns",
            "Temperature",
            "Tasksets",
            "y"
        ]
    );
    assert_eq!((&metrics["Number of examples"], &metrics["Number of tasks"]), (&json!(3), &json!(2)));
    // `{"responses_create_params": {"input": "hi"}}` has three words, `{}` has one.
    let words = &metrics["Json-dumped task-input words (proxy for token count)"];
    assert_eq!((&words["Average"], &words["Max"]), (&json!(2.0), &json!(3.0)));
    let sets = json!({"counts": {"a": 1, "b": 1}, "unique_count": 2, "total_count": 2});
    assert_eq!(metrics["Tasksets"], sets);
    let line = r#"{"task_id": {"taskset": "b", "task_id": "1"}, "task_input": {"responses_create_params": {"input": "hi"}}, "x": 1, "task_source": "my_agent"}"#;
    assert_eq!(case.text("out/example.jsonl").lines().next(), Some(line), "its set says who runs it");

    let wrong = Case::new(&(task("", "{}") + &task("a", "[]")));
    let (_, problems) = wrong.run();
    assert_eq!(
        problems,
        ["1 task_id.taskset: String should have at least 1 character", "2 task_input: Input should be an object"]
    );
}

#[test]
fn datasets_of_a_type_are_counted_together_and_put_one_after_the_other() {
    let mut case = Case::new(&(row(",\"x\":1") + &row(",\"x\":2")));
    let other = case.folder.path().join("more.jsonl");
    std::fs::write(&other, row(",\"x\":5,\"y\":\"z\"")).unwrap();
    let mut second = Dataset::new("other", "more", DatasetKind::Example, "more.jsonl", other);
    second.slice = Slice { start: Some(0), end: Some(1) };
    let mut third = case.preparation.datasets[0].clone();
    third.slice = Slice { start: Some(1), end: None };
    third.instance = "third".to_owned();
    case.preparation.datasets.extend([second, third]);
    case.preparation.datasets.push(Dataset::new("x", "train", DatasetKind::Train, "gone.jsonl", "gone.jsonl"));
    assert_eq!(case.run().0.unwrap().rows, 4);
    let metrics = case.json("out/example_metrics.json");
    assert_eq!((&metrics["Number of examples"], &metrics["name"]), (&json!(4), &json!("example")));
    // Only the last dataset's numbers of other fields stay.
    assert_eq!(metrics["x"]["Average"], 2.0);
    assert_eq!(metrics["y"]["unique_count"], 1);
    let sources: Vec<String> = case
        .text("out/example.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["task_source"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sources, ["my_agent", "my_agent", "other", "third"]);
    assert_eq!(case.text("example_prepare.third.jsonl").lines().count(), 1);
}

#[test]
fn prompts_are_made_before_rows_are_checked() {
    let mut case = Case::new("{\"q\":\"Why?\"}\n");
    case.preparation.mode = Mode::TrainPreparation;
    case.dataset().kind = DatasetKind::Benchmark;
    case.dataset().prompt = Some(Prompt { user: "Q: {q}".to_owned(), system: None });
    case.run().0.unwrap();
    let line =
        r#"{"q": "Why?", "responses_create_params": {"input": [{"role": "user", "content": "Q: Why?"}]}, "agent_ref""#;
    assert!(case.text("out/benchmark.jsonl").starts_with(line));
    case.dataset().prompt = Some(Prompt { user: "{none}".to_owned(), system: None });
    let (_, problems) = case.run();
    assert!(problems.contains(&"1 responses_create_params: the prompt template needs the field `none`".to_owned()));
}

#[test]
fn what_cannot_be_prepared_is_said_before_any_work() {
    let mut case = Case::new("");
    assert!(matches!(case.run().0, Err(PrepareError::Empty { .. })));
    assert_eq!(case.files(), ["example.jsonl"]);
    case.dataset().path = case.folder.path().to_owned();
    let (result, _) = case.run();
    assert!(matches!(result, Err(PrepareError::Rows(_))), "a folder is no dataset: {result:?}");
    case.dataset().path = case.folder.path().join("gone.jsonl");
    let (result, _) = case.run();
    let Err(PrepareError::Missing { missing }) = result else { panic!("{result:?}") };
    assert_eq!(missing, ["my_agent: example (data/example.jsonl)"]);
    case.preparation.mode = Mode::TrainPreparation;
    assert!(matches!(case.run().0, Err(PrepareError::Nothing { .. })));
}

#[test]
fn many_rows_keep_their_order_and_an_error_of_writing_ends_it() {
    let rows: String =
        (0..20_000).map(|index| row(&format!(",\"index\":{index},\"pad\":\"{}\"", "x".repeat(100)))).collect();
    let mut case = Case::new(&rows);
    case.preparation.threads = 4;
    assert_eq!(case.run().0.unwrap().bytes, rows.len() as u64 - 1);
    let order = case.text("out/example.jsonl");
    let order = order.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap());
    assert!(order.eq(0..20_000));
    // A folder in the place of the file.
    let mut case = Case::new(&rows);
    std::fs::create_dir_all(case.folder.path().join("out/example.partial")).unwrap();
    assert!(matches!(case.run().0, Err(PrepareError::File { action: "write", .. })));
    // The disk is full while the others are still reading and checking.
    std::fs::remove_dir(case.folder.path().join("out/example.partial")).unwrap();
    std::os::unix::fs::symlink("/dev/full", case.folder.path().join("out/example.partial")).unwrap();
    case.preparation.threads = 1;
    let (result, _) = case.run();
    let Err(PrepareError::File { source, .. }) = &result else { panic!("{result:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    assert!(!case.folder.path().join("out/example.jsonl").exists());
}
