// SPDX-License-Identifier: Apache-2.0
//! Serves an example over WebSocket: `cargo run -p openenv --example serve -- maze 8000`. Prints the address when it is
//! ready (port 0 takes a free one). Every connection is a session of its own.

use std::{
    env,
    error::Error,
    io::Write,
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use openenv::peer::{Example, Peer};
use tungstenite::Message;

/// A client that says nothing for this long is given up.
const PATIENCE: Duration = Duration::from_secs(3_600);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "echo".to_owned());
    let example = Example::named(&name).ok_or("the first argument is `echo`, `maze` or `tools`")?;
    let port: u16 = arguments.next().map_or(Ok(8_000), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            if let Err(error) = session(stream, example) {
                eprintln!("a session ended: {error}");
            }
        });
    }
    Ok(())
}

fn session(stream: TcpStream, example: Example) -> Result<(), Box<dyn Error>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut socket = tungstenite::accept(stream).map_err(|error| error.to_string())?;
    let mut peer = Peer::new(example);
    loop {
        match socket.read()? {
            Message::Text(text) => match peer.answer(text.as_str()) {
                Some(answer) => socket.send(Message::text(answer))?,
                None => socket.close(None)?,
            },
            Message::Close(_) => return Ok(()),
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}
