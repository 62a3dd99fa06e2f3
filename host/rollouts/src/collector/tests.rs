// SPDX-License-Identifier: Apache-2.0

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::Reply;
use gym_protocol::{Fault, FaultKind, Members};
use serde_json::{Value, json};

use super::*;
use crate::plan::{Repeats, key};

/// From the number of the call and the row to the answer.
type Rule = dyn Fn(u64, &Members) -> Result<Reply, Fault> + Send + Sync;

/// Answers every row by a rule; counts the calls.
struct Agents {
    rule: Box<Rule>,
    calls: AtomicU64,
    stop_after: Option<(u64, CancellationToken)>,
}

impl Agents {
    fn new(rule: impl Fn(u64, &Members) -> Result<Reply, Fault> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { rule: Box::new(rule), calls: AtomicU64::new(0), stop_after: None })
    }
}

#[async_trait]
impl Dispatch for Agents {
    fn knows(&self, agent: &str) -> bool {
        ["a", "b"].contains(&agent)
    }

    fn agents(&self) -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }

    async fn run(&self, _agent: &str, row: Bytes) -> Result<Reply, Fault> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some((after, token)) = &self.stop_after
            && call >= *after
        {
            token.cancel();
        }
        tokio::task::yield_now().await;
        (self.rule)(call, &Raw::parse(row).unwrap().members().unwrap())
    }

    async fn aggregate_metrics(&self, _agent: &str, body: Bytes) -> Result<Reply, Fault> {
        let rows = Raw::parse(body).unwrap().members().unwrap().get("verify_responses").unwrap().elements().unwrap();
        Ok(Reply::ok(format!("{{\"agent_metrics\":{{\"rows\":{}}}}}", rows.len())))
    }
}

fn right() -> Result<Reply, Fault> {
    Ok(Reply::ok(Bytes::from_static(br#"{"reward":1.0}"#)))
}

fn plan(folder: &std::path::Path, tasks: u64) -> CollectPlan {
    let rows: String = (0..tasks)
        .map(|task| {
            format!("{{\"responses_create_params\":{{\"input\":\"{task}\"}},\"agent_ref\":{{\"name\":\"a\"}}}}\n")
        })
        .collect();
    std::fs::write(folder.join("in.jsonl"), rows).unwrap();
    CollectPlan {
        num_repeats: Repeats::All(2),
        concurrency: 3,
        ..CollectPlan::new(folder.join("in.jsonl"), folder.join("out.jsonl"))
    }
}

/// The rows that are to be run.
fn inputs(plan: &CollectPlan) -> Vec<Value> {
    let text = std::fs::read_to_string(Files::of(&plan.output).inputs).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn collect(plan: &CollectPlan, agents: Arc<Agents>) -> Result<Summary, CollectError> {
    let stop = agents.stop_after.as_ref().map(|(_, token)| token.clone()).unwrap_or_default();
    let observer: Arc<dyn Observer> = Arc::new(|_: &Event| {});
    Collector::new(plan.clone(), agents, observer).run(stop, CancellationToken::new()).await
}

/// Keys in the file; fails when one is there twice.
fn keys(plan: &CollectPlan) -> HashSet<(u64, u64)> {
    let mut keys = HashSet::new();
    let mut reader = Reader::open(&plan.output).unwrap();
    while let Some(row) = reader.next_row().unwrap() {
        assert!(keys.insert(key(&row.members).unwrap()), "a rollout twice");
    }
    keys
}

#[tokio::test]
async fn every_rollout_is_done_once_and_a_second_run_has_nothing_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 10);
    let summary = collect(&plan, Agents::new(|_, _| right())).await.unwrap();
    assert_eq!((summary.total, summary.done, summary.added, summary.missing), (20, 20, 20, 0));
    assert_eq!(keys(&plan).len(), 20);
    assert_eq!(summary.agents["a"].mean_reward, Some(1.0));
    let agents = Agents::new(|_, _| right());
    let summary = collect(&plan, Arc::clone(&agents)).await.unwrap();
    assert_eq!((summary.done, summary.added), (20, 0));
    assert_eq!(agents.calls.load(Ordering::SeqCst), 0);
    let metrics = std::fs::read_to_string(folder.path().join("out_aggregate_metrics.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&metrics).unwrap()[0]["agent_metrics"]["rows"], 20);
}

#[tokio::test]
async fn rows_that_are_the_same_text_are_the_same_task() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let row = std::fs::read_to_string(&plan.input).unwrap();
    std::fs::write(&plan.input, row.repeat(2)).unwrap();
    collect(&plan, Agents::new(|_, _| right())).await.unwrap();
    assert_eq!(keys(&plan), HashSet::from([(0, 0), (0, 1), (0, 2), (0, 3)]));
}

#[tokio::test]
async fn a_file_cut_off_anywhere_is_completed_without_loss_or_repetition() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 6);
    collect(&plan, Agents::new(|_, _| right())).await.unwrap();
    let whole = std::fs::read(&plan.output).unwrap();
    for length in (0..=whole.len()).step_by(3) {
        std::fs::write(&plan.output, &whole[..length]).unwrap();
        // A row is kept if all of it is there but for its line break.
        let lines = whole[..length].split(|byte| *byte == b'\n');
        let kept = lines.filter(|line| serde_json::from_slice::<Value>(line).is_ok()).count() as u64;
        let summary = collect(&plan, Agents::new(|_, _| right())).await.unwrap();
        assert_eq!(summary.added, 12 - kept, "cut at {length}");
        assert_eq!(keys(&plan).len(), 12);
    }
}

#[tokio::test]
async fn a_stopped_run_leaves_the_rest_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 50);
    let agents = Arc::new(Agents {
        rule: Box::new(|_, _| right()),
        calls: AtomicU64::new(0),
        stop_after: Some((20, CancellationToken::new())),
    });
    let summary = collect(&plan, agents).await.unwrap();
    assert!(summary.stopped && summary.done >= 20 && summary.done < 100, "{summary:?}");
    assert_eq!(summary.missing, 100 - summary.done);
    let rest = collect(&plan, Agents::new(|_, _| right())).await.unwrap();
    assert_eq!(rest.added, 100 - summary.done);
    assert_eq!(keys(&plan).len(), 100);
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_up_to_the_limit_and_never_become_rewards() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 3);
    let attempts = Mutex::new(HashMap::new());
    let agents = Agents::new(move |_, row| {
        let task = key(row).unwrap();
        let mut attempts = attempts.lock().unwrap();
        let count: &mut u64 = attempts.entry(task).or_default();
        *count += 1;
        match task.0 {
            // Works the second time.
            0 if *count == 2 => right(),
            0 => Err(Fault::new(FaultKind::Unreachable, "gone")),
            // Never works.
            1 => Ok(Reply::ok(Bytes::from_static(br#"{"reward":0.0,"_ng_failure_class":"judge_failed"}"#))),
            // Must not be tried again.
            _ => Err(Fault::new(FaultKind::Trap, "it trapped")),
        }
    });
    let summary = collect(&plan, Arc::clone(&agents)).await.unwrap();
    assert_eq!(keys(&plan), HashSet::from([(0, 0), (0, 1)]));
    assert_eq!((summary.done, summary.failed, summary.missing), (2, 4, 0));
    // Two tries for each of task 0, three for task 1, one for task 2.
    assert_eq!(agents.calls.load(Ordering::SeqCst), 4 + 6 + 2);
    assert_eq!(summary.agents["a"].mean_reward, Some(1.0));
    assert_eq!(summary.failures["judge_failed"].0, 6);
    let again = Agents::new(|_, _| right());
    collect(&plan, Arc::clone(&again)).await.unwrap();
    assert_eq!(again.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_room_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let agents = Agents::new(|call, _| if call < 9 { Ok(Reply::new(503, "busy")) } else { right() });
    let summary = collect(&plan, agents).await.unwrap();
    assert_eq!((summary.done, summary.failures.len()), (2, 0));
}

#[tokio::test]
async fn other_input_does_not_mix_with_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(folder.path(), 2);
    collect(&plan, Agents::new(|_, _| right())).await.unwrap();
    plan.num_repeats = Repeats::All(3);
    assert!(matches!(collect(&plan, Agents::new(|_, _| right())).await, Err(CollectError::OtherInput { .. })));
    plan.fresh = true;
    assert_eq!(collect(&plan, Agents::new(|_, _| right())).await.unwrap().done, 6);
}

#[tokio::test]
async fn mistakes_in_the_input_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let base = plan(folder.path(), 1);
    let cases = [
        ("{\"responses_create_params\":{\"input\":\"x\"}}\n", "NoAgent"),
        ("{\"responses_create_params\":{\"input\":\"x\"},\"agent_ref\":{\"name\":\"c\"}}\n", "UnknownAgent"),
        ("{\"agent_ref\":{\"name\":\"a\"}}\n", "Row"),
        ("{\"responses_create_params\":{},\"agent_ref\":{\"name\":\"a\"}}\n", "Row"),
        ("{\"_ng_task_index\":-1,\"agent_ref\":{\"name\":\"a\"}}\n", "Row"),
        ("", "Empty"),
        ("nothing\n", "Rows"),
    ];
    for (text, expected) in cases {
        std::fs::write(&base.input, text).unwrap();
        let error = collect(&base, Agents::new(|_, _| right())).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
        assert!(!base.output.exists(), "no output is left");
    }
}

#[tokio::test]
async fn two_processes_do_not_write_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    let _held = Files::of(&plan.output).lock().unwrap();
    assert!(matches!(collect(&plan, Agents::new(|_, _| right())).await, Err(CollectError::Locked { .. })));
}

#[tokio::test]
async fn a_run_that_is_dropped_anywhere_is_completed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 8);
    let mut calls = 0;
    for drop_after in 0..12 {
        let agents = Agents::new(|_, _| right());
        let run = tokio::spawn({
            let (plan, agents) = (plan.clone(), Arc::clone(&agents));
            async move { collect(&plan, agents).await }
        });
        while agents.calls.load(Ordering::SeqCst) < drop_after && !run.is_finished() {
            tokio::task::yield_now().await;
        }
        run.abort();
        run.await.ok();
        calls += agents.calls.load(Ordering::SeqCst);
        if plan.output.exists() {
            keys(&plan);
        }
    }
    let summary = collect(&plan, Agents::new(|_, _| right())).await.unwrap();
    assert_eq!((summary.done, keys(&plan).len()), (16, 16));
    assert!(calls > 16, "runs were dropped before their rollouts were written");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_room_is_not_a_failure_when_the_run_stops() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 2);
    let stop = CancellationToken::new();
    let agents = Arc::new(Agents {
        rule: Box::new(|_, _| Ok(Reply { retry_after: Some(5), ..Reply::new(503, "busy") })),
        calls: AtomicU64::new(0),
        stop_after: Some((8, stop)),
    });
    let summary = collect(&plan, agents).await.unwrap();
    assert!(summary.stopped);
    assert_eq!((summary.done, summary.missing, summary.failures.len()), (0, 4, 0));
    assert_eq!(std::fs::read_to_string(&summary.failures_file).unwrap(), "");
}

#[tokio::test]
async fn an_abort_drops_what_runs() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 2);

    struct Never;
    #[async_trait]
    impl Dispatch for Never {
        fn knows(&self, _agent: &str) -> bool {
            true
        }
        fn agents(&self) -> Vec<String> {
            Vec::new()
        }
        async fn run(&self, _agent: &str, _row: Bytes) -> Result<Reply, Fault> {
            std::future::pending().await
        }
        async fn aggregate_metrics(&self, _agent: &str, _body: Bytes) -> Result<Reply, Fault> {
            unreachable!("a run that was aborted has no metrics")
        }
    }

    let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
    let token = abort.clone();
    let observer: Arc<dyn Observer> = Arc::new(move |event: &Event| {
        if matches!(event, Event::Started { .. }) {
            token.cancel();
        }
    });
    let summary = Collector::new(plan, Arc::new(Never), observer).run(stop, abort).await.unwrap();
    assert_eq!((summary.stopped, summary.missing), (true, 4));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_an_agent_is_one_failed_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 2);
    let agents = Agents::new(|call, _| if call == 1 { panic!("a bug of the agent") } else { right() });
    let summary = collect(&plan, agents).await.unwrap();
    assert_eq!((summary.done, summary.failures["agent_run_error"].0), (4, 1));
}

#[tokio::test]
async fn rows_are_routed_numbered_and_filled() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(folder.path(), 0);
    let rows = [
        r#"{"q":"x","responses_create_params":{"temperature":0.50},"agent_ref":{"name":"a"}}"#,
        r#"{"q":"y","responses_create_params":{},"task_source":"b","_ng_task_index":0}"#,
        r#"{"q":"z","responses_create_params":{},"agent_ref":{"name":"gone"}}"#,
        r#"{"q":"w","responses_create_params":{}}"#,
    ];
    std::fs::write(&plan.input, rows.join("\n")).unwrap();
    plan.agent = Some("a".to_owned());
    plan.agent_map = [("gone".to_owned(), "b".to_owned())].into();
    plan.num_repeats = Repeats::ByAgent([("b".to_owned(), 2), ("_default".to_owned(), 1)].into());
    plan.prompt = Some(gym_data::prompt::Prompt { user: "Q: {q}".to_owned(), system: None });
    plan.overrides = [("top_p".to_owned(), json!(0.9))].into();
    plan.seed_repeats = true;
    plan.provenance = [("a".to_owned(), json!({"version": "1"}))].into();
    collect(&plan, Agents::new(|_, _| right())).await.unwrap();
    let found: Vec<_> = inputs(&plan)
        .into_iter()
        .map(|row| {
            let text = |pointer: &str| row.pointer(pointer).map(ToString::to_string).unwrap_or_default();
            [text("/agent_ref/name"), text("/_ng_task_index"), text("/_ng_rollout_index"), text("/q")].join(" ")
        })
        .collect();
    // The second row brought its number along, which is that of the first; its repeats come after that one's. It has a
    // `task_source`, but the default agent comes first.
    let expected =
        [r#""a" 0 0 "x""#, r#""a" 0 1 "y""#, r#""a" 0 2 "y""#, r#""b" 1 0 "z""#, r#""b" 1 1 "z""#, r#""a" 2 0 "w""#];
    assert_eq!(found, expected);
    let params = json!({"temperature": 0.5, "input": [{"role": "user", "content": "Q: x"}], "top_p": 0.9,
        "metadata": {"extra_body": "{\"seed\":0}"}});
    assert_eq!(inputs(&plan)[0]["responses_create_params"], params);
    let rollouts = std::fs::read_to_string(&plan.output).unwrap();
    let seeds: BTreeMap<(u64, u64), Value> = rollouts
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|row| {
            (
                (row["_ng_task_index"].as_u64().unwrap(), row["_ng_rollout_index"].as_u64().unwrap()),
                row["gym_host"].clone(),
            )
        })
        .collect();
    let seed = inputs(&plan)[2]["_ng_session_seed"].clone();
    assert!(seed.as_u64().is_some_and(|seed| seed < 1 << 53), "{seed}");
    assert_ne!(seed, inputs(&plan)[1]["_ng_session_seed"]);
    assert_eq!(seeds[&(0, 2)], json!({"version": "1", "seed": seed, "sampling_seed": 2}));
    assert_eq!(seeds[&(1, 0)], Value::Null);
}

#[tokio::test]
async fn shards_share_the_tasks_and_come_together_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(folder.path(), 5);
    let mut all = HashSet::new();
    let mut files = Vec::new();
    for index in 0..3 {
        plan.shard = Some(crate::Shard { index, count: 3 });
        plan.output = folder.path().join(format!("{index}.jsonl"));
        collect(&plan, Agents::new(|_, _| right())).await.unwrap();
        all.extend(keys(&plan));
        files.push(plan.output.clone());
    }
    assert_eq!(all.len(), 10);
    plan.output = folder.path().join("all.jsonl");
    assert_eq!(crate::merge(&files, &plan.output).unwrap(), 10);
    assert_eq!(keys(&plan), all);
}

#[tokio::test]
async fn what_another_program_collected_from_the_same_rows_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(folder.path(), 3);
    collect(&plan, Agents::new(|_, _| right())).await.unwrap();
    // As that program would leave it: other white space, no state file, not all rollouts.
    let files = Files::of(&plan.output);
    std::fs::remove_file(&files.state).unwrap();
    let spaced: String = inputs(&plan).iter().map(|row| row.to_string().replace("\":", "\": ") + "\n").collect();
    std::fs::write(&files.inputs, spaced).unwrap();
    let rollouts = std::fs::read_to_string(&plan.output).unwrap();
    let some: String = rollouts.lines().take(4).map(|line| format!("{line}\n")).collect();
    std::fs::write(&plan.output, &some).unwrap();
    let summary = collect(&plan, Agents::new(|_, _| right())).await.unwrap();
    assert_eq!((summary.added, summary.done), (2, 6));
    std::fs::remove_file(&files.state).unwrap();
    plan.overrides = [("temperature".to_owned(), json!(1.0))].into();
    assert!(matches!(collect(&plan, Agents::new(|_, _| right())).await, Err(CollectError::OtherInput { .. })));
    assert!(!folder.path().join("out_materialized_inputs.check").exists());
}

#[tokio::test]
async fn an_agent_without_metrics_does_not_take_away_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1);
    struct NoMetrics(Arc<Agents>);
    #[async_trait]
    impl Dispatch for NoMetrics {
        fn knows(&self, agent: &str) -> bool {
            self.0.knows(agent)
        }
        fn agents(&self) -> Vec<String> {
            self.0.agents()
        }
        async fn run(&self, agent: &str, row: Bytes) -> Result<Reply, Fault> {
            self.0.run(agent, row).await
        }
        async fn aggregate_metrics(&self, _agent: &str, _body: Bytes) -> Result<Reply, Fault> {
            Ok(Reply::new(404, "no"))
        }
    }
    let agents = Arc::new(NoMetrics(Agents::new(|_, _| right())));
    let observer: Arc<dyn Observer> = Arc::new(|_: &Event| {});
    let collector = Collector::new(plan, agents, observer);
    let summary = collector.run(CancellationToken::new(), CancellationToken::new()).await.unwrap();
    assert_eq!(summary.failures["aggregate_metrics"], (1, "no metrics of `a`: status 404: no".to_owned()));
    let metrics = std::fs::read(summary.metrics_file.unwrap()).unwrap();
    let metrics: Value = serde_json::from_slice(&metrics).unwrap();
    assert_eq!(metrics, json!([{"agent_ref": {"name": "a"}, "error": "status 404: no"}]));
}

/// What an agent does at one call.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Right,
    Masked,
    Fail,
    FailForGood,
    Forget,
    Panic,
    Busy,
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn deeds() -> impl Strategy<Value = Vec<Deed>> {
        use Deed::*;
        let deed = prop_oneof![
            6 => Just(Right), 1 => Just(Masked), 1 => Just(Fail), 1 => Just(FailForGood), 1 => Just(Forget), 1 => Just(Panic), 1 => Just(Busy)
        ];
        proptest::collection::vec(deed, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever agents do and whenever runs are stopped: no rollout is there twice, none is lost, no failure is tried
        /// too often, and the runs come to an end.
        #[test]
        fn runs_converge(
            tasks in 1_u64..6, repeats in 1_u64..4, concurrency in 1_usize..6, deeds in deeds(),
            stops in proptest::collection::vec(0_u64..20, 0..4),
        ) {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let folder = tempfile::tempdir().unwrap();
                let mut plan = plan(folder.path(), tasks);
                (plan.num_repeats, plan.concurrency) = (Repeats::All(repeats), concurrency);
                let total = tasks * repeats;
                let mut before = HashSet::new();
                for run in 0..20_usize {
                    let mut agents = Agents::new({
                        let deeds = deeds.clone();
                        // Other deeds in every run, and only right ones in the end.
                        move |call, _| match deeds[(call as usize + run * 7) % deeds.len()] {
                            _ if run > 10 => right(),
                            Deed::Right => right(),
                            Deed::Masked => Ok(Reply::ok(r#"{"reward":0.0,"mask_sample":true}"#)),
                            Deed::Fail => Err(Fault::new(FaultKind::ModelFailed, "no model")),
                            Deed::FailForGood => Err(Fault::new(FaultKind::Memory, "too much")),
                            Deed::Forget => Ok(Reply::ok(r#"{"_ng_no_persist":true}"#)),
                            Deed::Panic => panic!("a bug of the agent"),
                            Deed::Busy => Ok(Reply::new(503, "busy")),
                        }
                    });
                    if let Some(after) = stops.get(run) {
                        Arc::get_mut(&mut agents).unwrap().stop_after = Some((*after, CancellationToken::new()));
                    }
                    let summary = collect(&plan, agents).await.unwrap();
                    let after = keys(&plan);
                    assert!(before.is_subset(&after));
                    assert_eq!(summary.done, after.len() as u64);
                    assert_eq!(summary.added, (after.len() - before.len()) as u64);
                    assert_eq!(summary.done + summary.failed + summary.missing, total);
                    before = after;
                    if run > 10 {
                        assert_eq!((summary.missing, summary.stopped), (0, false));
                    }
                }
                let mut attempts: HashMap<(u64, u64), u64> = HashMap::new();
                let mut reader = Reader::open(&Files::of(&plan.output).failures).unwrap();
                while let Some(row) = reader.next_row().unwrap() {
                    *attempts.entry(key(&row.members).unwrap()).or_default() += 1;
                }
                assert!(attempts.values().all(|count| *count <= 3), "{attempts:?}");
            });
        }
    }
}
