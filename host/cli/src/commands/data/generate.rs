// SPDX-License-Identifier: Apache-2.0
//! `gym-host data generate`: rows that an environment makes.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use bytes::Bytes;
use gym_agents::{RequestContext, ResourcesServer, Route};
use gym_protocol::ServerKind;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    args::{ConfigArgs, GenerateArgs},
    failure::{CommandResult, Failure, of_file},
    local::Local,
    places::{EnvironmentFolder, Places},
};

/// What an environment that makes rows answers to. No agent is told of it.
const TOOL: &str = "generate_rows";
/// Rows of one call: it has the time of one call.
const ROWS: u64 = 100;

/// What came of one call.
#[derive(Deserialize)]
struct Made {
    rows: Vec<Box<RawValue>>,
}

pub(super) async fn run(arguments: &GenerateArgs, places: &Places, quiet: bool) -> CommandResult {
    let settings: Map<String, Value> = serde_json::from_str(&arguments.settings).map_err(|error| {
        Failure::user(format!("the settings are no JSON object: {error}"))
            .with_hint(r#"for example --settings '{"max_terms": 4}'"#)
    })?;
    let output = places.current.join(&arguments.output);
    if output.is_dir() {
        return Err(Failure::user(format!("{} is a folder", output.display())).with_hint("name a file in it"));
    }
    if output.exists() && !arguments.force {
        return Err(Failure::user(format!("{} is there already", output.display())).with_hint("add --force"));
    }
    let folder = places.environment(&arguments.environment)?;
    let maker = Maker::start(folder, places).await?;
    let partial = partial(&output);
    let written = async {
        if let Some(folder) = output.parent() {
            std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
        }
        let file = File::create(&partial).map_err(|error| unwritten(&partial, &error))?;
        maker.write(arguments, &settings, BufWriter::new(file), &partial).await?;
        std::fs::rename(&partial, &output).map_err(|error| unwritten(&output, &error))
    };
    if let Err(failure) = written.await {
        // The part that was written is of no use; the error that matters is the first one.
        std::fs::remove_file(&partial).ok();
        return Err(failure);
    }
    if arguments.json {
        println!("{}", json!({"path": output, "rows": arguments.size}));
    } else if !quiet {
        eprintln!("wrote    {} ({} rows)", arguments.output.display(), arguments.size);
    }
    Ok(ExitCode::SUCCESS)
}

fn partial(output: &Path) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!("{name}.partial"))
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    of_file(format!("failed to write {}: {error}", path.display()), error)
}

/// An environment that makes rows.
struct Maker {
    folder: EnvironmentFolder,
    server: Arc<dyn ResourcesServer>,
    /// Holds what the server runs on.
    _local: Local,
}

impl Maker {
    async fn start(folder: EnvironmentFolder, places: &Places) -> Result<Self, Failure> {
        let file = folder.path.join("configs").join(format!("{}.yaml", folder.name));
        let config = ConfigArgs { configs: vec![file.display().to_string()], ..ConfigArgs::default() };
        let mut places = places.clone();
        // The environment may lie anywhere; its name must lead to it and to nothing else.
        places.search.insert(0, folder.root());
        let local = Local::without_policy(&config, &places).await?;
        let mut servers = local.settings.servers.iter().filter(|server| server.kind == ServerKind::ResourcesServers);
        let server = servers
            .find(|server| server.implementation == folder.name)
            .and_then(|server| local.resources.get(server.name.as_str()))
            .ok_or_else(|| Failure::user(format!("{} has no server of `{}`", file.display(), folder.name)))?
            .port();
        Ok(Self { folder, server, _local: local })
    }

    async fn write(
        &self,
        arguments: &GenerateArgs,
        settings: &Map<String, Value>,
        mut file: impl std::io::Write,
        path: &Path,
    ) -> Result<(), Failure> {
        let mut start = 0;
        while start < arguments.size {
            let count = ROWS.min(arguments.size - start);
            let asked = json!({
                "task": arguments.tasks.join(","), "size": arguments.size, "seed": arguments.seed,
                "start": start, "count": count, "config": settings,
            });
            let rows = self.make(&asked).await?;
            if rows.len() as u64 != count {
                return Err(Failure::environment(format!(
                    "the environment `{}` made {} rows instead of {count}",
                    self.folder.name,
                    rows.len()
                )));
            }
            for row in rows {
                writeln!(file, "{row}").map_err(|error| unwritten(path, &error))?;
            }
            start += count;
        }
        file.flush().map_err(|error| unwritten(path, &error))
    }

    async fn make(&self, asked: &Value) -> Result<Vec<Box<RawValue>>, Failure> {
        let name = &self.folder.name;
        let mut session = self.server.session(&RequestContext::default());
        let reply = session.post(&Route::Tool(TOOL.to_owned()), Bytes::from(asked.to_string())).await;
        session.end().await;
        let reply = reply.map_err(|fault| Failure::environment(format!("`{name}` makes no rows: {fault}")))?;
        if let Ok(made) = serde_json::from_slice::<Made>(&reply.body)
            && reply.status == 200
        {
            return Ok(made.rows);
        }
        let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let told = told.get("detail").or_else(|| told.get("error")).and_then(Value::as_str).unwrap_or_default();
        Err(match reply.status {
            200 | 404 => {
                Failure::user(format!("the environment `{name}` makes no rows")).with_hint("`reasoning_gym` does")
            }
            422 => Failure::user(told),
            status => Failure::environment(format!("`{name}` failed to make rows, with status {status}: {told}")),
        })
    }
}
