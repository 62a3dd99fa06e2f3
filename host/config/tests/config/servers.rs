// SPDX-License-Identifier: Apache-2.0
//! What the settings say of servers.

use super::{Folder, settings_of};
use gym_config::{Address, Composed, DatasetKind, DatasetSource, Place, Sources};
use gym_protocol::ServerKind;
use serde_json::json;

const USUAL: &str = "
mcqa:
  resources_servers:
    mcqa:
      entrypoint: app.py
      domain: knowledge
      verified: false
      description: questions
      grading_mode: ${mode}
mcqa_simple_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      domain: knowledge
      resources_server: {type: resources_servers, name: mcqa}
      model_server: {type: responses_api_models, name: policy_model}
      more: {judge: {type: responses_api_models, name: nobody}}
      loose: {type: responses_api_models, name: nobody, extra: 1}
      datasets:
      - {name: train, type: train, jsonl_fpath: data/train.jsonl, license: Apache 2.0, num_repeats: 2,
         source: {type: huggingface, repo_id: a/b, artifact_fpath: t.jsonl}}
      - name: example
        type: example
        jsonl_fpath: data/example.jsonl
policy_model:
  responses_api_models:
    openai_model:
      entrypoint: app.py
      openai_base_url: ${policy_base_url}
      openai_api_key: ${policy_api_key}
      openai_model: ${policy_model_name}
      host: 10.0.0.1
      port: '8123'
      num_workers: 2
policy_base_url: [http://a/v1, http://b/v1]
policy_api_key: key
policy_model_name: ${oc.env:MODEL,small}
mode: lenient_boxed
";

#[test]
fn instances_are_told_from_values_and_their_blocks_are_resolved() {
    let folder = Folder::new(&[("c.yaml", USUAL), ("data/example.jsonl", "{}")]);
    let settings = folder.settings(&["c.yaml"], &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let [resources, agent, model] = settings.servers.as_slice() else { panic!("{:?}", settings.servers) };
    assert_eq!((resources.kind, resources.implementation.as_str()), (ServerKind::ResourcesServers, "mcqa"));
    assert_eq!(resources.domain.as_deref(), Some("knowledge"));
    let block = json!({
        "entrypoint": "app.py", "domain": "knowledge", "verified": false, "description": "questions",
        "grading_mode": "lenient_boxed", "name": "mcqa",
    });
    assert_eq!(json!(resources.block), block);
    assert_eq!((resources.host.as_str(), resources.port, resources.is_here()), ("127.0.0.1", None, true));

    assert_eq!(agent.refs.len(), 2, "only direct values with exactly type and name: {:?}", agent.refs);
    assert_eq!(agent.reference("resources_server").map(|reference| reference.name.as_str()), Some("mcqa"));
    assert_eq!(agent.reference("model_server").map(|reference| reference.name.as_str()), Some("policy_model"));
    assert!(agent.block.get("domain").is_none() && agent.domain.is_none(), "only resources servers have a domain");
    let [train, example] = agent.datasets.as_slice() else { panic!("{:?}", agent.datasets) };
    assert_eq!((train.kind, train.num_repeats, train.path.as_ref()), (DatasetKind::Train, 2, None));
    let source = DatasetSource::HuggingFace { repo_id: "a/b".into(), artifact_fpath: Some("t.jsonl".into()) };
    assert_eq!(train.sources, [source]);
    assert_eq!(example.path, Some(folder.path().join("data/example.jsonl")));

    assert_eq!(model.block["openai_base_url"], json!(["http://a/v1", "http://b/v1"]));
    assert_eq!(model.block["openai_model"], json!("small"));
    assert_eq!((model.host.as_str(), model.port, model.num_workers), ("10.0.0.1", Some(8123), Some(2)));
    assert_eq!(settings.head, Address::new("127.0.0.1", 11000));
    assert_eq!(settings.port_range, 10001..=20000);
    assert_eq!(settings.disallowed_ports.iter().copied().collect::<Vec<_>>(), [8123, 11000]);
    assert!(settings.gateway.is_none() && settings.only.is_none() && !settings.dry_run);
    assert_eq!(settings.warnings, []);
}

#[test]
fn general_settings_are_read() {
    let settings = settings_of(
        "default_host: 0.0.0.0\nhead_server: {port: 0}\nport_range_low: 5000\nport_range_high: 5999\n\
         disallowed_ports: [5001]\ngateway: {port: 9000}\ngym_host: {cache_dir: '${d}/x', limits: {a: 1}}\nd: /tmp\n\
         dry_run: 'yes'\nskip_verification: true\nskip_verification_reward: 0.5\n\
         a: {responses_api_agents: {simple_agent: {entrypoint: app.py, skip_verification: false}}}\n",
    );
    assert_eq!(settings.default_host, "0.0.0.0");
    assert_eq!(settings.head, Address::new("0.0.0.0", 0));
    assert_eq!(settings.gateway, Some(Address::new("0.0.0.0", 9000)));
    assert_eq!(settings.port_range, 5000..=5999);
    assert_eq!(settings.disallowed_ports.iter().copied().collect::<Vec<_>>(), [5001, 9000]);
    assert_eq!(json!(settings.host_options), json!({"cache_dir": "/tmp/x", "limits": {"a": 1}}));
    assert!(settings.dry_run);
    let agent = &settings.servers[0];
    assert_eq!(
        (&agent.block["skip_verification"], &agent.block["skip_verification_reward"]),
        (&json!(true), &json!(0.5))
    );
    assert_eq!(agent.host, "0.0.0.0");
    assert_eq!(settings.value("gym_host.cache_dir"), Ok(Some(json!("/tmp/x"))));
    assert_eq!(settings.value("nothing.there"), Ok(None));
}

#[test]
fn blocks_without_entrypoint_are_elsewhere_or_only_values() {
    let settings = settings_of(
        "a: {resources_servers: {x: {host: 10.0.0.2, port: 80}}}\n\
         b: {responses_api_models: {y: {url: 'https://models.test/base/'}}}\n\
         c: {responses_api_models: {y: {host: 10.0.0.2}}}\n\
         d: {responses_api_agents: {z: {entrypoint: app.py, resources_server: {type: resources_servers, name: a},\
             model_server: {type: responses_api_models, name: b}}}}\n\
         e: {environment_servers: {legacy_agent: {host: '::1', port: 81,\
             agent_server: {type: responses_api_agents, name: d}}}}\n\
         f: {resources_servers: 3}\ng: {more: {resources_servers: 1}}\n",
    );
    let places: Vec<_> = settings
        .servers
        .iter()
        .map(|server| match &server.place {
            Place::Here => (server.name.as_str(), "here"),
            Place::Elsewhere { url } => (server.name.as_str(), url.as_str()),
        })
        .collect();
    let expected =
        [("a", "http://10.0.0.2:80"), ("b", "https://models.test/base"), ("d", "here"), ("e", "http://[::1]:81")];
    assert_eq!(places, expected);
}

#[test]
fn almost_servers_can_be_left_out() {
    let folder = Folder::new(&[(
        "c.yaml",
        "error_on_almost_servers: false\na: {resources_servers: {x: {entrypoint: app.py}}}\n\
         b: {resources_servers: {x: {entrypoint: app.py, domain: math}}}\n",
    )]);
    let settings = folder.settings(&["c.yaml"], &[]).expect("fine");
    assert_eq!(settings.servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>(), ["b"]);
    let [warning] = settings.warnings.as_slice() else { panic!("{:?}", settings.warnings) };
    assert_eq!(warning.key, "a.resources_servers.x.domain");
    assert!(warning.text.ends_with("the server is left out (AlmostServerError)"), "{warning}");
}

#[test]
fn the_launcher_starts_one_instance_with_the_configuration_in_its_environment() {
    let text = "
a: {resources_servers: {mcqa: {entrypoint: app.py, domain: math, host: 127.0.0.1, port: 5001, mode: '${m}'}}}
b: {responses_api_models: {vllm_model: {entrypoint: app.py, host: 127.0.0.1, port: 5002}}}
c: {responses_api_models: {vllm_model: {entrypoint: app.py}}}
d: {resources_servers: {newer: {entrypoint: app.py, domain: astrology, key: ???, host: 127.0.0.1, port: 5003,
    other: '${nothing}', datasets: [3]}}}
head_server: {host: 127.0.0.1, port: 11000}
m: strict
config_paths: [somewhere/else.yaml]
";
    let variables =
        [("NEMO_GYM_CONFIG_DICT", text), ("NEMO_GYM_CONFIG_PATH", "a"), ("NEMO_GYM_EXTRA_ROOTS", "/one:/two")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let folder = Folder::new(&[("env.yaml", "m: not read\n")]);
    let sources = Sources::from_environment(folder.path().to_owned(), None, variables);
    assert_eq!(sources.search_roots, ["/one", "/two"].map(std::path::PathBuf::from));
    let settings =
        Composed::load(sources.clone()).expect("fine").settings().unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(settings.only.as_ref().map(|name| name.as_str()), Some("a"));
    let [a, b, d] = settings.servers.as_slice() else { panic!("`c` has no address: {:?}", settings.servers) };
    assert!(a.is_here());
    assert_eq!(a.block["mode"], json!("strict"));
    assert_eq!(b.place, Place::Elsewhere { url: "http://127.0.0.1:5002".into() });
    assert_eq!(d.place, Place::Elsewhere { url: "http://127.0.0.1:5003".into() }, "others are not checked");
    let wrong = Sources { only: Some("aa".into()), ..sources };
    let errors = Composed::load(wrong).expect("fine").settings().expect_err("no such instance").to_string();
    assert!(errors.contains("there is no server `aa`, named by `NEMO_GYM_CONFIG_PATH`"), "{errors}");
}

#[test]
fn an_open_agent_takes_the_place_of_the_configured_ones() {
    let folder = Folder::new(&[
        ("mcqa.yaml", USUAL),
        (
            "agent.yaml",
            "hermes: {responses_api_agents: {hermes_agent: {entrypoint: app.py, depth: 2,\
             resources_server: {type: resources_servers, name: ???}}}}\n",
        ),
    ]);
    let settings = folder.settings(&["mcqa.yaml", "agent.yaml"], &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = settings.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["mcqa", "mcqa_hermes_agent", "policy_model"]);
    let agent = settings.server("mcqa_hermes_agent").expect("composed");
    assert_eq!((agent.refs.len(), agent.datasets.len(), &agent.block["depth"]), (2, 2, &json!(2)));
    let refused =
        folder.errors(&["mcqa.yaml", "agent.yaml"], &["+mcqa.resources_servers.mcqa.allowed_agents=simple_agent"]);
    assert!(refused.contains("UnsupportedAgentOverrideError"), "{refused}");
}

#[test]
fn pairings_that_are_not_allowed_can_be_forced() {
    let folder = Folder::new(&[("c.yaml", USUAL)]);
    let block = "+mcqa.resources_servers.mcqa.";
    for (allowed, expected) in [
        ("allowed_agents=simple_agent", None),
        ("allowed_agents=[other,simple_agent]", None),
        ("allowed_agents=other", Some("UnsupportedAgentPairingError")),
        ("allowed_model_types=[openai_model]", None),
        ("allowed_model_types=[vllm_model]", Some("UnsupportedModelPairingError")),
        ("allowed_model_types=3", Some("AlmostServerError")),
    ] {
        let text = format!("{block}{allowed}");
        match expected {
            None => assert!(folder.settings(&["c.yaml"], &[&text]).is_ok(), "{allowed}"),
            Some(name) => assert!(folder.errors(&["c.yaml"], &[&text]).contains(name), "{allowed}"),
        }
    }
    let refused = format!("{block}allowed_agents=other");
    assert!(folder.settings(&["c.yaml"], &[&refused, "+allow_unsupported_pairing=true"]).is_ok());
    let mut sources = folder.sources(&["c.yaml"], &[&refused]);
    sources.environment.insert("NEMO_GYM_ALLOW_UNSUPPORTED_PAIRING".into(), "1".into());
    assert!(Composed::load(sources).expect("fine").settings().is_ok());
}

#[test]
fn thousands_of_instances_are_one_configuration() {
    let mut text =
        String::from("base: {resources_servers: {mcqa: {entrypoint: app.py, domain: math, list: [1, 2, 3]}}}\n");
    for index in 0..2000 {
        text.push_str(&format!(
            "r{index}: {{_copy: base, resources_servers: {{mcqa: {{index: {index}, u: '${{url}}/${{.index}}'}}}}}}\n\
             a{index}: {{responses_api_agents: {{simple_agent: {{entrypoint: app.py, \
             resources_server: {{type: resources_servers, name: r{index}}}}}}}}}\n"
        ));
    }
    text.push_str("url: http://h\n");
    let settings = settings_of(&text);
    assert_eq!(settings.servers.len(), 4001);
    assert_eq!(settings.server("r1999").expect("there").block["u"], json!("http://h/1999"));
}

#[test]
fn blocks_can_refer_to_the_folders_for_results_and_caches() {
    let text = "a:\n  resources_servers:\n    x:\n      entrypoint: app.py\n      domain: math\n      \
                kept: ${cache_dir}/x\n      chosen: ${oc.select:results_dir,null}\n";
    let settings = settings_of(text);
    let cwd = settings.composed().roots().cwd().to_string_lossy().into_owned();
    let block = &settings.servers[0].block;
    assert_eq!(block["kept"], json!(format!("{cwd}/cache/x")));
    assert_eq!(block["chosen"], json!(format!("{cwd}/results")));
    let configured = settings_of(&format!("cache_dir: /c\n{text}"));
    assert_eq!(configured.servers[0].block["kept"], json!("/c/x"));
}

#[test]
fn the_licence_of_a_benchmark_is_free_text() {
    let settings = settings_of(
        "a:\n  responses_api_agents:\n    simple_agent:\n      entrypoint: app.py\n      datasets:\n      \
         - {name: b, type: benchmark, jsonl_fpath: b.jsonl, prepare_script: p.py, license: CC-BY-4.0}\n",
    );
    assert_eq!(settings.servers[0].datasets[0].license.as_deref(), Some("CC-BY-4.0"));
}
