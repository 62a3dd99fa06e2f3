// SPDX-License-Identifier: Apache-2.0
//! An environment that does what its caller names, above all what an environment must not do.
//!
//! `call-tool` takes the name of a misdeed. `verify` and the others do what the request's member `do` says. The
//! configuration may say how to begin (`{"describe": "spin"}`) and where calls run (`{"verify": "pooled"}`).

mod misdeeds;
mod wit {
    wit_bindgen::generate!({ path: "../../../wit", world: "environment" });
}

use std::{cell::Cell, io::Write};

use wit::{
    exports::gym::environment::resources_server::Guest,
    gym::environment::{
        host,
        types::{
            Description, Failure, Lifetime, Observation, Refusal, ReverifyMode, StepOutcome, Style, Tool, Verdict,
        },
    },
};

thread_local! {
    /// Counts the calls of this instance.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

struct Hostile;

/// Whether the text has `"name":"value"`, written without spaces.
fn says(text: &str, name: &str, value: &str) -> bool {
    text.contains(&format!("\"{name}\":\"{value}\""))
}

fn lifetime(config: &str, name: &str) -> Lifetime {
    if says(config, name, "pooled") {
        Lifetime::Pooled
    } else if says(config, name, "call") {
        Lifetime::Call
    } else {
        Lifetime::Session
    }
}

impl Guest for Hostile {
    fn describe() -> Result<Description, Failure> {
        let config = host::config();
        if says(&config, "describe", "spin") {
            misdeeds::spin();
        }
        if says(&config, "describe", "trap") {
            misdeeds::trap();
        }
        if says(&config, "describe", "fault") {
            return Err(Failure::Fault("no such language".into()));
        }
        let tool = |name: &str, parameters: &str| Tool {
            name: name.into(),
            description: String::new(),
            parameters: parameters.into(),
        };
        let tools = if says(&config, "describe", "nonsense") {
            vec![tool("verify", "{}"), tool("twice", "{}"), tool("twice", "[]")]
        } else {
            vec![tool("count", r#"{"type":"object"}"#)]
        };
        Ok(Description {
            name: "hostile".into(),
            version: "0.1.0".into(),
            style: Style::Tools,
            tools_run_in: lifetime(&config, "tools"),
            verify_runs_in: lifetime(&config, "verify"),
            reverify: ReverifyMode::Unknown,
            seed_fields: None,
            verify_fields: r#"{"type":"object","additionalProperties":true}"#.into(),
            echo: Vec::new(),
            tools,
            any_tool: true,
            token_ids: false,
            metrics: None,
            own_metrics: true,
        })
    }

    fn seed_session(request: String) -> Result<String, Failure> {
        if request.contains("not an object") { Ok("[]".into()) } else { Ok("{}".into()) }
    }

    fn call_tool(name: String, arguments: String) -> Result<String, Failure> {
        CALLS.set(CALLS.get() + 1);
        let number = || arguments.trim().parse::<u64>().unwrap_or(0);
        match name.as_str() {
            "count" => return Ok(CALLS.get().to_string()),
            "length" => return Ok(arguments.len().to_string()),
            "spin" => misdeeds::spin(),
            "work" => misdeeds::work(number()),
            "alloc" => misdeeds::allocate(),
            "hold" => return Ok(misdeeds::hold(number()).to_string()),
            "try_hold" => return Ok(misdeeds::try_hold(number()).to_string()),
            "stains" => return Ok(misdeeds::stains(number()).to_string()),
            "recurse" => return Ok(misdeeds::recurse(1).to_string()),
            "trap" => misdeeds::trap(),
            "panic" => panic!("as asked"),
            "exit" => std::process::exit(7),
            "log" => host::log(host::Level::Info, &arguments),
            "flood_log" => {
                for line in 0..number() {
                    host::log(host::Level::Info, &format!("line {line}"));
                }
            }
            "long_line" => host::log(host::Level::Warn, &"x".repeat(number() as usize)),
            "print" => {
                print!("{arguments}");
                std::io::stdout().flush().map_err(|error| Failure::Fault(error.to_string()))?;
            }
            "flood_stdout" => {
                for line in 0..number() {
                    println!("line {line}");
                }
            }
            "huge_reply" => return Ok("x".repeat(number() as usize)),
            "huge_log" => host::log(host::Level::Info, &"x".repeat(number() as usize)),
            "flood_host" => {
                for _ in 0..number() {
                    std::hint::black_box(host::random());
                }
            }
            "leak_handles" => misdeeds::leak_handles(number()),
            "sleep_ms" => {
                let began = std::time::Instant::now();
                std::thread::sleep(std::time::Duration::from_millis(number()));
                return Ok(began.elapsed().as_millis().to_string());
            }
            "two_timers" => return Ok(misdeeds::two_timers()),
            "sense" => return Ok(misdeeds::sense()),
            "random_bytes" => return Ok(misdeeds::random_bytes(number()).to_string()),
            "config" => return Ok(host::config()),
            "reject" => return Err(Failure::Rejected(arguments)),
            "refuse" => {
                return Err(Failure::Refused(Refusal { status: number() as u16, detail: r#"{"why":"asked"}"#.into() }));
            }
            "fault" => return Err(Failure::Fault(arguments)),
            "judge" => {
                return match host::respond("judge", &arguments) {
                    Ok(reply) => Ok(reply),
                    Err(host::ModelFailure::UnknownServer(text)) => Ok(format!("unknown server: {text}")),
                    Err(host::ModelFailure::Status((status, body))) => Ok(format!("status {status}: {body}")),
                    Err(host::ModelFailure::Unavailable(text)) => Err(Failure::JudgeFailed(text)),
                };
            }
            "flood_judge" => {
                let requests = vec!["{}".to_owned(); number() as usize];
                let replies = host::respond_all("judge", &requests, 0);
                return Ok(replies.iter().filter(|reply| reply.is_ok()).count().to_string());
            }
            "read" => {
                return match host::read_file(&arguments) {
                    Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
                    Err(text) => Err(Failure::Rejected(text)),
                };
            }
            "std_read" => {
                return std::fs::read_to_string(&arguments).map_err(|error| Failure::Rejected(error.to_string()));
            }
            "fetch" => return misdeeds::fetch(&arguments),
            "fetch_or_fault" => {
                return misdeeds::fetch(&arguments).map_err(|_| Failure::Fault("nobody answers".into()));
            }
            "dial" => return misdeeds::dial(&arguments),
            "hoard_channels" => return misdeeds::hoard_channels(number()),
            "std_connect" => {
                return match std::net::TcpStream::connect(&arguments) {
                    Ok(_) => Ok("connected".into()),
                    Err(error) => Err(Failure::Rejected(error.to_string())),
                };
            }
            "environment" => {
                return Ok(format!("{:?} {:?}", std::env::vars().collect::<Vec<_>>(), std::env::args().len()));
            }
            other => return Err(Failure::Rejected(format!("no misdeed `{other}`"))),
        }
        Ok("done".into())
    }

    fn verify(request: String) -> Result<Verdict, Failure> {
        CALLS.set(CALLS.get() + 1);
        let verdict = |reward: f64, components: &[f64], fields: &str| {
            let components = components.iter().map(|part| ("part".to_owned(), *part)).collect();
            Ok(Verdict { reward, components, fields: fields.into() })
        };
        if says(&request, "do", "spin") {
            misdeeds::spin();
        }
        if says(&request, "do", "trap") {
            misdeeds::trap();
        }
        if says(&request, "do", "grow") {
            misdeeds::hold(8);
        }
        if says(&request, "do", "nan") {
            return verdict(f64::NAN, &[], "{}");
        }
        if says(&request, "do", "bad parts") {
            return verdict(1.0, &[0.25, 0.25], "{}");
        }
        if says(&request, "do", "bad fields") {
            return verdict(1.0, &[], "[1]");
        }
        if says(&request, "do", "sense") {
            return verdict(1.0, &[], &format!("{{\"sensed\":{:?}}}", misdeeds::sense_of_call()));
        }
        verdict(1.0, &[0.25, 0.75], &format!("{{\"calls\":{}}}", CALLS.get()))
    }

    fn reset(_request: String) -> Result<Observation, Failure> {
        Ok(Observation { text: Some("go".into()), info: "{}".into() })
    }

    fn step(request: String) -> Result<StepOutcome, Failure> {
        let reward = if says(&request, "do", "nan") { f64::NAN } else { 0.5 };
        let observation = Observation { text: None, info: "{}".into() };
        Ok(StepOutcome { observation, reward, terminated: true, truncated: false })
    }

    fn close() -> Result<(), Failure> {
        Ok(())
    }

    fn aggregate_metrics(_request: String) -> Result<String, Failure> {
        Ok(r#"{"agent_metrics":{"own":1}}"#.into())
    }
}

wit::export!(Hostile with_types_in wit);
