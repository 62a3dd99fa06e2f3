// SPDX-License-Identifier: Apache-2.0
//! WASI, as far as the standard libraries of guest languages need it to start: no files, no network, no environment, no
//! arguments. Clocks and random numbers are the instance's own, and what is printed goes to its log.

use std::sync::Arc;

use bytes::Bytes;
use gym_protocol::{Fault, FaultKind};
use wasmtime::{
    Engine,
    component::{HasSelf, Linker, Resource},
};
use wasmtime_wasi::{
    cli::{WasiCli, WasiCliCtxView},
    filesystem::{WasiFilesystem, WasiFilesystemCtxView},
    p2::{
        DynInputStream, DynOutputStream, DynPollable, OutputStream, Pollable, StreamResult,
        bindings::{
            cli::{
                environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
                terminal_stdin, terminal_stdout,
            },
            clocks::{monotonic_clock, wall_clock},
            filesystem,
            random::{insecure, insecure_seed, random},
            sockets,
        },
        pipe::MemoryInputPipe,
        subscribe,
    },
    sockets::{WasiSockets, WasiSocketsCtxView},
};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::{
    bindings::{Environment, runner::CodeRunner},
    log::LogSource,
    seeded::READING_NS,
    state::{Shared, State, Table},
};

/// Everything that an environment can import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    Environment::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    add_wasi(&mut linker)?;
    Ok(linker)
}

/// Everything that a component which runs programs can import: nothing of the host's own.
pub(crate) fn runner_linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    CodeRunner::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    add_wasi(&mut linker)?;
    Ok(linker)
}

fn add_wasi(l: &mut Linker<State>) -> wasmtime::Result<()> {
    type Own = HasSelf<State>;

    io::error::add_to_linker::<State, Table>(l, |state| &mut state.table)?;
    io::poll::add_to_linker::<State, Table>(l, |state| &mut state.table)?;
    io::streams::add_to_linker::<State, Table>(l, |state| &mut state.table)?;

    wall_clock::add_to_linker::<State, Own>(l, |state| state)?;
    monotonic_clock::add_to_linker::<State, Own>(l, |state| state)?;
    random::add_to_linker::<State, Own>(l, |state| state)?;
    insecure::add_to_linker::<State, Own>(l, |state| state)?;
    insecure_seed::add_to_linker::<State, Own>(l, |state| state)?;
    stdin::add_to_linker::<State, Own>(l, |state| state)?;
    stdout::add_to_linker::<State, Own>(l, |state| state)?;
    stderr::add_to_linker::<State, Own>(l, |state| state)?;

    // The contexts behind these are empty: no arguments, no directories, and no address may be reached.
    environment::add_to_linker::<State, WasiCli>(l, cli)?;
    exit::add_to_linker::<State, WasiCli>(l, cli)?;
    terminal_input::add_to_linker::<State, WasiCli>(l, cli)?;
    terminal_output::add_to_linker::<State, WasiCli>(l, cli)?;
    terminal_stdin::add_to_linker::<State, WasiCli>(l, cli)?;
    terminal_stdout::add_to_linker::<State, WasiCli>(l, cli)?;
    terminal_stderr::add_to_linker::<State, WasiCli>(l, cli)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(l, files)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(l, files)?;
    let options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<State, WasiSockets>(l, &options, network)?;
    sockets::instance_network::add_to_linker::<State, WasiSockets>(l, network)?;
    sockets::ip_name_lookup::add_to_linker::<State, WasiSockets>(l, network)?;
    sockets::tcp::add_to_linker::<State, WasiSockets>(l, network)?;
    sockets::tcp_create_socket::add_to_linker::<State, WasiSockets>(l, network)?;
    sockets::udp::add_to_linker::<State, WasiSockets>(l, network)?;
    sockets::udp_create_socket::add_to_linker::<State, WasiSockets>(l, network)
}

fn cli(state: &mut State) -> WasiCliCtxView<'_> {
    WasiCliCtxView { ctx: &mut state.cli, table: &mut state.table }
}

fn files(state: &mut State) -> WasiFilesystemCtxView<'_> {
    WasiFilesystemCtxView { ctx: &mut state.filesystem, table: &mut state.table }
}

fn network(state: &mut State) -> WasiSocketsCtxView<'_> {
    WasiSocketsCtxView { ctx: &mut state.sockets, table: &mut state.table }
}

fn datetime(nanoseconds: u64) -> wall_clock::Datetime {
    wall_clock::Datetime { seconds: nanoseconds / 1_000_000_000, nanoseconds: (nanoseconds % 1_000_000_000) as u32 }
}

impl wall_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.charge(0)?;
        Ok(datetime(self.shared.clock.wall()))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(READING_NS))
    }
}

impl monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.charge(0)?;
        Ok(self.shared.clock.monotonic())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(READING_NS)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.charge(0)?;
        let sleep = self.table.push(Sleep { shared: self.shared.clone(), until: when })?;
        subscribe(&mut self.table, sleep)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let until = self.shared.clock.monotonic().saturating_add(duration);
        monotonic_clock::Host::subscribe_instant(self, until)
    }
}

/// A timer. No real time passes: whoever waits for it moves the clock.
struct Sleep {
    shared: Arc<Shared>,
    until: u64,
}

#[async_trait::async_trait]
impl Pollable for Sleep {
    async fn ready(&mut self) {
        struct Forget<'a>(&'a Shared);
        impl Drop for Forget<'_> {
            fn drop(&mut self) {
                self.0.clock.clear_alarms();
            }
        }
        // A guest that only asks again and again gets there as well: asking takes time like any reading.
        if self.shared.clock.monotonic() >= self.until {
            return;
        }
        self.shared.clock.set_alarm(self.until);
        let _forget = Forget(&self.shared);
        // By the second round everybody that is waited for together has set an alarm, and whatever else is waited for
        // (a stream) had its chance.
        loop {
            tokio::task::yield_now().await;
            if self.shared.clock.wakes(self.until) {
                return;
            }
        }
    }
}

impl State {
    fn checked_size(&mut self, bytes: u64) -> wasmtime::Result<usize> {
        let most = self.settings.limits.random_bytes;
        if bytes > most {
            return Err(self.stop(Fault::new(
                FaultKind::HostCalls,
                format!("the environment asked for more than {most} random bytes at once"),
            )));
        }
        self.charge(bytes as usize)?;
        Ok(bytes as usize)
    }
}

impl random::Host for State {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        let count = self.checked_size(len)?;
        Ok(self.random.secure.bytes(count))
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.charge(8)?;
        Ok(self.random.secure.next())
    }
}

impl insecure::Host for State {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        let count = self.checked_size(len)?;
        Ok(self.random.insecure.bytes(count))
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.charge(8)?;
        Ok(self.random.insecure.next())
    }
}

impl insecure_seed::Host for State {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.charge(16)?;
        Ok(State::insecure_seed(self))
    }
}

impl State {
    fn output(&mut self, source: LogSource) -> wasmtime::Result<Resource<DynOutputStream>> {
        if let Some(captured) = &self.captured {
            let stream: DynOutputStream = Box::new(captured.stream(source == LogSource::Stderr));
            return Ok(self.table.push(stream)?);
        }
        let stream: DynOutputStream = Box::new(Output { shared: self.shared.clone(), source });
        Ok(self.table.push(stream)?)
    }
}

impl stdin::Host for State {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(MemoryInputPipe::new(self.stdin.clone()));
        Ok(self.table.push(stream)?)
    }
}

impl stdout::Host for State {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.output(LogSource::Stdout)
    }
}

impl stderr::Host for State {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.output(LogSource::Stderr)
    }
}

/// A stream into the log. It takes everything: printing too much is cut there, and never the guest's problem.
struct Output {
    shared: Arc<Shared>,
    source: LogSource,
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.shared.log.lock().write(self.source, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}
