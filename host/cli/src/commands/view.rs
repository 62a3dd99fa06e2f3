// SPDX-License-Identifier: Apache-2.0
//! `gym-host view`: rollouts in the browser.

use std::{
    io::{ErrorKind, Write},
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
};

use gym_rollouts::Files;
use gym_viewer::{Access, Index};
use tokio::{
    net::TcpListener,
    sync::oneshot::{self, Sender},
};

use crate::{
    args::ViewArgs,
    commands::show::{empty, print_unreadable, unreadable},
    failure::{CommandResult, Failure, chain},
    signals::Signals,
};

/// The port, if it is free and none was asked for.
const PORT: u16 = 8600;

pub(crate) async fn run(arguments: &ViewArgs) -> CommandResult {
    let index = Arc::new(Index::open(&arguments.files).map_err(|error| unreadable(&error))?);
    if arguments.files.iter().all(|file| is_empty(file)) {
        return Err(empty(&arguments.files[0]));
    }
    let mut signals = Signals::listen()?;
    let listener = listen(arguments).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::infrastructure(format!("failed to find out the page's address: {error}")))?;
    let (tell, mut all_unreadable) = oneshot::channel();
    let reader = {
        let index = index.clone();
        std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || {
                check(&index, tell);
                index.follow();
            })
            .map_err(|error| Failure::infrastructure(format!("failed to start a thread: {error}")))?
    };
    let url = format!("http://{address}/");
    println!("{url}");
    // Whoever waits for the line in a pipe gets it now.
    std::io::stdout().flush().map_err(|error| Failure::infrastructure(format!("failed to print: {error}")))?;
    if !address.ip().is_loopback() {
        eprintln!("warning: everybody who reaches {address} can read these rollouts");
    }
    eprintln!("Ctrl-C ends the viewer");
    if arguments.open {
        open(&url);
    }
    let served = tokio::select! {
        served = gym_viewer::serve(listener, index.clone(), Access::with_name(&arguments.host)) => served,
        () = signals.first() => Ok(()),
        Ok(failure) = &mut all_unreadable => {
            index.stop();
            reader.thread().unpark();
            return Err(failure);
        }
    };
    index.stop();
    reader.thread().unpark();
    // It looks up between blocks of lines; a reader that panicked has said so.
    if reader.join().is_err() {
        return Err(Failure::infrastructure("the reader of the files failed"));
    }
    served.map_err(|error| Failure::infrastructure(format!("the page's server failed: {}", chain(&error))))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether there is nothing to be seen and nobody who adds to it.
fn is_empty(path: &Path) -> bool {
    let files = Files::of(path);
    let has_bytes = |path: &Path| std::fs::metadata(path).is_ok_and(|data| data.len() > 0);
    !has_bytes(path) && !has_bytes(&files.failures) && !files.lock.exists()
}

/// Reads the files for the first time, and says which lines are not right. If none is, there is nothing to be seen.
fn check(index: &Index, tell: Sender<Failure>) {
    // A file that cannot be read any more is named on the page, and looked at again.
    let Ok(_) = index.read() else { return };
    let Some(unreadable) = index.unreadable() else { return };
    if unreadable.count < unreadable.rows {
        print_unreadable(&unreadable);
        return;
    }
    let place = format!("{}:{}", unreadable.path.display(), unreadable.line);
    let failure = Failure::user(format!("{place}: no line of the file is a JSON object"))
        .with_hint("`gym-host eval` and `gym-host collect` write files of rollouts");
    // Nobody listens any more if the viewer was ended meanwhile.
    tell.send(failure).ok();
}

async fn listen(arguments: &ViewArgs) -> Result<TcpListener, Failure> {
    let host = arguments.host.trim_start_matches('[').trim_end_matches(']');
    let port = arguments.port.unwrap_or(PORT);
    let first = TcpListener::bind((host, port)).await;
    let bound = match first {
        Err(error) if error.kind() == ErrorKind::AddrInUse && arguments.port.is_none() => {
            TcpListener::bind((host, 0)).await
        }
        other => other,
    };
    bound.map_err(|error| {
        Failure::user(format!("failed to listen on {host}:{port}: {error}"))
            .with_hint("--host and --port name another address; without --port any free port is taken")
    })
}

/// Starts the browser. Without one the address, which is printed, serves as well.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started =
        Command::new(program).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Err(error) = started {
        eprintln!("warning: failed to start the browser (`{program}`): {error}");
    }
}
