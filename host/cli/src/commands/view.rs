// SPDX-License-Identifier: Apache-2.0
//! `gym-host view`: rollouts in the browser.

use std::{
    io::{ErrorKind, Write},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
};

use gym_viewer::{Access, Index};
use tokio::net::TcpListener;

use crate::{
    args::ViewArgs,
    commands::show::unreadable,
    failure::{CommandResult, Failure, chain},
    signals::Signals,
};

/// The port, if it is free and none was asked for.
const PORT: u16 = 8600;

pub(crate) async fn run(arguments: &ViewArgs) -> CommandResult {
    let index = Arc::new(Index::open(&arguments.files).map_err(|error| unreadable(&error))?);
    let mut signals = Signals::listen()?;
    let listener = listen(arguments).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::infrastructure(format!("failed to find out the page's address: {error}")))?;
    let reader = {
        let index = index.clone();
        std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || index.follow())
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
