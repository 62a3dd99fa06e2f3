// SPDX-License-Identifier: Apache-2.0
//! Token data comes to the trainer and back to the engine as the engine wrote it, digit by digit.

use std::{fmt::Write as _, sync::Arc};

use gym_tests::{Act, Host, Seen, Upstream, gym_host, run};
use serde_json::json;

/// Calls of one attempt: tools in all but the last.
const TURNS: usize = 5;
/// Generated tokens of one call.
const TOKENS: usize = 4000;

/// Numbers that lose their form when somebody reads and writes them.
const SPELLINGS: &[&str] = &[
    "-0.0",
    "1e-7",
    "-1E5",
    "1.50",
    "-0.30000000000000004",
    "-9999.0",
    "1.0E+2",
    "-1e-05",
    "0",
    "-2.2250738585072014e-308",
    "-123456789012345678901234567890.5",
    "-0.1000000000000000055511151231257827",
    "-17",
];

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn float(&mut self) -> String {
        match self.below(3) {
            0 => SPELLINGS[self.below(SPELLINGS.len())].to_owned(),
            1 => format!("-{}.{:017}", self.below(30), self.next() % 100_000_000_000_000_000),
            _ => {
                let value = f64::from_bits(self.next());
                if value.is_finite() { format!("{value:e}") } else { "-0.25".to_owned() }
            }
        }
    }

    fn token(&mut self) -> String {
        match self.below(50) {
            0 => "18446744073709551617".to_owned(),
            _ => self.below(200_000).to_string(),
        }
    }
}

/// What the engine says of one call: the texts of the four fields.
struct Said {
    prompt: Vec<String>,
    tokens: Vec<String>,
    floats: Vec<String>,
    /// Between the elements of lists.
    separator: &'static str,
    experts: Option<String>,
}

impl Said {
    fn of(engine: &str, turn: usize) -> Self {
        let seed = engine.bytes().fold(turn as u64 + 1, |seed, byte| seed.wrapping_mul(257).wrapping_add(byte.into()));
        let mut random = Random(seed);
        let count = TOKENS + random.below(100);
        Self {
            prompt: (0..TOKENS).map(|_| random.token()).collect(),
            tokens: (0..count).map(|_| random.token()).collect(),
            floats: (0..count).map(|_| random.float()).collect(),
            separator: if engine == "message" && turn % 2 == 1 { ", " } else { "," },
            experts: match turn % 3 {
                0 => None,
                1 => Some(format!("\"nrlre1:u8:2x3x4:{}+/=\"", random.next())),
                _ => Some("[[[1, 2], [3]], [[255, 0]]]".to_owned()),
            },
        }
    }

    fn list(&self, values: &[String]) -> String {
        format!("[{}]", values.join(self.separator))
    }

    /// The three fields that always come, as members of an object.
    fn fields(&self) -> [String; 3] {
        [
            format!("\"prompt_token_ids\":{}", self.list(&self.prompt)),
            format!("\"generation_token_ids\":{}", self.list(&self.tokens)),
            format!("\"generation_log_probs\":{}", self.list(&self.floats)),
        ]
    }

    /// All that is to be found again.
    fn all(&self) -> Vec<String> {
        let experts = self.experts.iter().map(|experts| format!("\"routed_experts\":{experts}"));
        self.fields().into_iter().chain(experts).collect()
    }
}

/// Answers the call of this turn, in the way of this engine.
fn answer(engine: &str, turn: usize) -> String {
    let said = Said::of(engine, turn);
    let last = turn + 1 == TURNS;
    let experts = said.experts.as_ref().map(|experts| format!(",\"routed_experts\":{experts}")).unwrap_or_default();
    if engine == "responses" {
        let item = if last {
            json!({"type": "message", "id": "m", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "It is cold.", "annotations": []}]})
        } else {
            json!({"type": "function_call", "call_id": format!("c{turn}"), "name": "get_weather", "arguments": "{\"city\":\"Oslo\"}"})
        };
        let mut item = item.to_string();
        item.pop();
        return format!(
            "{{\"id\":\"r\",\"created_at\":1.0,\"model\":\"m\",\"object\":\"response\",\"output\":[{item},{}{experts}}}],\
             \"parallel_tool_calls\":true,\"tool_choice\":\"auto\",\"tools\":[]}}",
            said.fields().join(",")
        );
    }
    let mut message = if last {
        json!({"role": "assistant", "content": "It is cold."})
    } else {
        let function = json!({"name": "get_weather", "arguments": "{\"city\":\"Oslo\"}"});
        json!({"role": "assistant", "content": null, "tool_calls": [{"id": format!("c{turn}"), "type": "function", "function": function}]})
    }
    .to_string();
    message.pop();
    write!(message, "{experts}").expect("a text takes any text");
    let (mut choice, mut top) = (String::new(), String::new());
    if engine == "message" {
        write!(message, ",{}", said.fields().join(",")).expect("a text takes any text");
    } else {
        let tokens: Vec<String> = said
            .tokens
            .iter()
            .zip(&said.floats)
            .map(|(token, float)| {
                format!("{{\"token\":\"token_id:{token}\",\"logprob\":{float},\"bytes\":null,\"top_logprobs\":[]}}")
            })
            .collect();
        write!(choice, ",\"logprobs\":{{\"content\":[{}]}}", tokens.join(",")).expect("a text takes any text");
    }
    if engine == "beside" {
        write!(choice, ",\"token_ids\":{}", said.list(&said.tokens)).expect("a text takes any text");
        write!(top, ",\"prompt_token_ids\":{}", said.list(&said.prompt)).expect("a text takes any text");
    }
    format!(
        "{{\"id\":\"x\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"finish_reason\":\"stop\",\"message\":{message}}}{choice}}}]{top}}}"
    )
}

/// How many answers of the model a request repeats.
fn turn_of(seen: &Seen) -> usize {
    seen.body.matches("\"role\":\"assistant\"").count() + seen.body.matches("\"type\":\"function_call\"").count()
}

fn engine_of(seen: &Seen) -> String {
    seen.path.split('/').nth(1).unwrap_or_default().to_owned()
}

fn act(seen: &Seen) -> Act {
    let engine = engine_of(seen);
    if seen.path.ends_with("/tokenize") {
        let said = Said::of(&engine, turn_of(seen));
        return Act::json(format!("{{\"count\":{TOKENS},\"tokens\":{}}}", said.list(&said.prompt)));
    }
    Act::json(answer(&engine, turn_of(seen)))
}

fn model(engine: &str, url: &str, port: &str) -> String {
    let kind = if engine == "responses" {
        format!(
            "openai_model: {{entrypoint: app.py, {port}openai_base_url: {url}/{engine}/v1, openai_api_key: k, openai_model: m}}"
        )
    } else {
        format!(
            "vllm_model: {{entrypoint: app.py, {port}base_url: {url}/{engine}/v1, api_key: k, model: m, \
             return_token_id_information: true, uses_reasoning_parser: true}}"
        )
    };
    format!("m_{engine}:\n  responses_api_models:\n    {kind}\n")
}

#[test]
fn token_data_is_the_same_text_everywhere() {
    const ENGINES: [&str; 4] = ["message", "beside", "logprobs", "responses"];
    let upstream = Arc::new(Upstream::start(act));
    // One model server is in another process.
    let elsewhere = Host::serve(&format!(
        "head_server: {{host: 127.0.0.1, port: 0}}\ngateway: {{host: 127.0.0.1, port: 0}}\n{}",
        model("elsewhere", &upstream.url, "host: 127.0.0.1, port: 0, ")
    ));
    let port = elsewhere.url("m_elsewhere").rsplit(':').next().expect("a port").to_owned();
    let mut config = format!(
        "head_server: {{host: 127.0.0.1, port: 0}}
gateway: {{host: 127.0.0.1, port: 0}}
weather:
  resources_servers:
    example_single_tool_call: {{entrypoint: app.py, domain: agent}}
m_elsewhere:
  responses_api_models:
    vllm_model: {{host: 127.0.0.1, port: {port}}}
"
    );
    let mut rows = String::new();
    for engine in ENGINES.iter().chain(&["elsewhere"]) {
        if *engine != "elsewhere" {
            config += &model(engine, &upstream.url, "");
        }
        write!(
            config,
            "a_{engine}:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {{type: resources_servers, name: weather}}
      model_server: {{type: responses_api_models, name: m_{engine}}}
"
        )
        .expect("a text takes any text");
        let row = json!({"responses_create_params": {"input": [{"role": "user", "content": "Weather in Oslo?"}]},
            "agent_ref": {"type": "responses_api_agents", "name": format!("a_{engine}")}});
        writeln!(rows, "{row}").expect("a text takes any text");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("config.yaml"), config).expect("written");
    std::fs::write(folder.path().join("tasks.jsonl"), rows).expect("written");
    let ended = run(gym_host(folder.path()).args([
        "collect",
        "--config",
        "config.yaml",
        "--input",
        "tasks.jsonl",
        "--output",
        "out.jsonl",
    ]));
    assert!(ended.status.success(), "{}\n{}", ended.stdout, ended.stderr);

    let rollouts = std::fs::read_to_string(folder.path().join("out.jsonl")).expect("rollouts");
    assert_eq!(rollouts.lines().count(), ENGINES.len() + 1, "{}", ended.stderr);
    for line in rollouts.lines() {
        let engine = ENGINES
            .into_iter()
            .chain(["elsewhere"])
            .find(|engine| line.contains(&format!("\"a_{engine}\"")))
            .expect("a rollout names its agent");
        let mut from = 0;
        for turn in 0..TURNS {
            for field in Said::of(engine, turn).all() {
                let found = line[from..].find(&field);
                assert!(
                    found.is_some(),
                    "`{engine}`, turn {turn}: the rollout lacks {}…",
                    &field[..60.min(field.len())]
                );
            }
            from += line[from..].find("\"generation_log_probs\"").expect("found before") + 1;
        }
        assert!(line.contains("\"reward\":1.0"), "`{engine}`");
    }

    let mut requests = 0;
    for seen in upstream.seen() {
        let (engine, turns) = (engine_of(&seen), turn_of(&seen));
        requests += 1;
        for turn in 0..turns {
            for field in Said::of(&engine, turn).all() {
                assert!(
                    seen.body.contains(&field),
                    "{}, turn {turns}: lacks {}… of turn {turn}",
                    seen.path,
                    &field[..60.min(field.len())]
                );
            }
        }
    }
    // Two engines are asked for the ids of every prompt.
    assert_eq!(requests, 5 * TURNS + 2 * TURNS);
}
