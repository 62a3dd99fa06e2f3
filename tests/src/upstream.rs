// SPDX-License-Identifier: Apache-2.0
//! An HTTP server that a test scripts byte by byte: a model's endpoint that behaves well or badly.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::PATIENCE;

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The path of its URL.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub body: String,
    /// When its head had arrived.
    pub at: Instant,
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answer with this status, these header lines (each ended by CR LF) and this body.
    Answer(u16, &'static str, String),
    /// Write these bytes as they are, then close.
    Raw(Vec<u8>),
    /// Write these bytes, one every so often, then close.
    Drip(Vec<u8>, Duration),
    /// Write these pieces, each when the gate lets one through, then close; it is noted when the client goes away.
    Pieces(Gate, Vec<Vec<u8>>),
    /// Close the connection. Bodies of requests to paths that begin with `/reset` are not read, and a connection that
    /// is closed with something unread is reset.
    Reset,
    /// Say nothing until the client goes away, or for longer than a test waits for it.
    Hang,
}

/// Holds answers back until the test lets them go, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<usize>, Condvar)>);

impl Gate {
    /// Lets so many more through.
    pub fn open(&self, count: usize) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) += count;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let free = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.0.1.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
    }
}

impl Act {
    /// Status 200 with a JSON text.
    pub fn json(body: impl Into<String>) -> Self {
        Self::Answer(200, "content-type: application/json\r\n", body.into())
    }
}

/// The running server. Its threads end with the test's process.
pub struct Upstream {
    /// `http://127.0.0.1:<port>`.
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    running: AtomicUsize,
    most: AtomicUsize,
    gone: AtomicUsize,
    closed: AtomicBool,
}

impl Upstream {
    /// Starts a server that answers as `act` says.
    pub fn start(act: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (seen, counts): (Arc<Mutex<Vec<Seen>>>, Arc<Counts>) = <_>::default();
        let act = Arc::new(act);
        let (all, shared) = (Arc::clone(&seen), Arc::clone(&counts));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.closed.load(Ordering::Relaxed) {
                    return;
                }
                let (act, seen, counts) = (Arc::clone(&act), Arc::clone(&all), Arc::clone(&shared));
                // A connection that breaks is what some tests are about.
                std::thread::spawn(move || serve(stream, &*act, &seen, &counts).ok());
            }
        });
        Self { url, seen, counts }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests that are under way.
    pub fn running(&self) -> usize {
        self.counts.running.load(Ordering::Relaxed)
    }

    /// The most requests that were under way at a time.
    pub fn most_at_once(&self) -> usize {
        self.counts.most.load(Ordering::Relaxed)
    }

    /// How often a client went away before its answer was complete.
    pub fn given_up(&self) -> usize {
        self.counts.gone.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.counts.closed.store(true, Ordering::Relaxed);
    }
}

fn serve(
    stream: TcpStream,
    act: &(dyn Fn(&Seen) -> Act + Send + Sync),
    seen: &Mutex<Vec<Seen>>,
    counts: &Counts,
) -> std::io::Result<()> {
    // Nothing is read ahead; see `Act::Reset`.
    let mut reader = BufReader::with_capacity(1, stream);
    while let Some(request) = read_request(&mut reader)? {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let running = counts.running.fetch_add(1, Ordering::Relaxed) + 1;
        counts.most.fetch_max(running, Ordering::Relaxed);
        let done = answer(reader.get_mut(), act(&request), counts);
        counts.running.fetch_sub(1, Ordering::Relaxed);
        match done {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                counts.gone.fetch_add(1, Ordering::Relaxed);
                return Err(error);
            }
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.trim().split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let at = Instant::now();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; if path.starts_with("/reset") { 0 } else { length }];
    reader.read_exact(&mut body)?;
    Ok(Some(Seen { path, headers, body: String::from_utf8_lossy(&body).into_owned(), at }))
}

/// Whether the connection can be used again.
fn answer(stream: &mut TcpStream, act: Act, counts: &Counts) -> std::io::Result<bool> {
    match act {
        Act::Answer(status, headers, body) => {
            let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes())?;
            stream.write_all(body.as_bytes())?;
            Ok(true)
        }
        Act::Raw(bytes) => {
            stream.write_all(&bytes)?;
            stream.shutdown(Shutdown::Both)?;
            Ok(false)
        }
        Act::Drip(bytes, pause) => {
            for byte in bytes {
                stream.write_all(&[byte])?;
                std::thread::sleep(pause);
            }
            Ok(false)
        }
        Act::Pieces(gate, pieces) => {
            for bytes in pieces {
                gate.pass();
                stream.write_all(&bytes)?;
            }
            stream.shutdown(Shutdown::Both)?;
            Ok(false)
        }
        Act::Reset => Ok(false),
        Act::Hang => {
            stream.set_read_timeout(Some(2 * PATIENCE))?;
            if stream.read(&mut [0])? == 0 {
                counts.gone.fetch_add(1, Ordering::Relaxed);
            }
            Ok(false)
        }
    }
}
