// SPDX-License-Identifier: Apache-2.0
//! The misdeeds themselves.

use std::{
    alloc::{Layout, alloc},
    collections::hash_map::RandomState,
    hash::BuildHasher,
    hint::black_box,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use wasip2::{cli::stdout::get_stdout, clocks::monotonic_clock, io::poll::poll, random::random::get_random_bytes};

use crate::wit::gym::environment::{
    host,
    network::{self, Channel, HttpRequest, NetworkFailure},
    types::Failure,
};

/// Never ends, without calling anything.
pub fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

/// Computes for a while: about a million simple steps for each unit.
pub fn work(units: u64) {
    let mut state = 1_u64;
    for _ in 0..units * 1_000_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state = black_box(state ^ (state << 17));
    }
}

/// Takes memory until there is none.
pub fn allocate() -> ! {
    loop {
        black_box(vec![1_u8; 1 << 20].leak());
    }
}

/// Takes so many MiB for good.
pub fn hold(mib: u64) -> usize {
    black_box(vec![1_u8; (mib << 20) as usize].leak()).len()
}

/// Takes so many MiB if it can have them, and says whether it could.
pub fn try_hold(mib: u64) -> bool {
    let Ok(layout) = Layout::from_size_align((mib << 20) as usize, 16) else { return false };
    // SAFETY: the layout has a size, and the memory is not used.
    let memory = unsafe { alloc(layout) };
    !black_box(memory).is_null()
}

/// Takes so many MiB without writing to them, and counts the bytes that are not zero.
pub fn stains(mib: u64) -> usize {
    let bytes = (mib << 20) as usize;
    let first_page = core::arch::wasm32::memory_grow::<0>(bytes / 65_536);
    assert_ne!(first_page, usize::MAX, "there is memory");
    // SAFETY: the pages were added just now, and nobody else knows of them.
    let memory = unsafe { std::slice::from_raw_parts((first_page * 65_536) as *const u8, bytes) };
    black_box(memory).iter().filter(|byte| **byte != 0).count()
}

/// Calls itself without end. Each call needs the result of the next, so that no optimiser can make a loop of it.
#[expect(unconditional_recursion, reason = "that is the misdeed")]
#[inline(never)]
pub fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth + 1)) + depth)
}

/// Stops at an instruction that cannot go on.
pub fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

/// Takes handles and does not give them back.
pub fn leak_handles(count: u64) {
    for _ in 0..count {
        std::mem::forget(get_stdout());
    }
}

/// Waits for two timers at once and says which of them is over.
pub fn two_timers() -> String {
    let long = monotonic_clock::subscribe_duration(3_600_000_000_000);
    let short = monotonic_clock::subscribe_duration(60_000_000_000);
    let first = poll(&[&long, &short]);
    let elapsed_s = monotonic_clock::now() / 1_000_000_000;
    format!("{first:?} after {elapsed_s} s")
}

/// Everything that should follow from the seed.
pub fn sense() -> String {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let began = Instant::now();
    let hash = RandomState::new().hash_one(7_u64);
    format!("{} {wall} {:?} {hash}", sense_of_call(), began.elapsed())
}

/// What should be the same in every call of an instance without memory.
pub fn sense_of_call() -> String {
    let now = host::now();
    let random = host::random();
    let bytes = get_random_bytes(5);
    format!("{now} {random} {bytes:?}")
}

/// Asks for random bytes, all at once.
pub fn random_bytes(count: u64) -> usize {
    get_random_bytes(count).len()
}

/// Tells what the network says, so that a test can read it.
fn told(failure: NetworkFailure) -> Failure {
    Failure::Rejected(match failure {
        NetworkFailure::UnknownEndpoint(text) => format!("unknown: {text}"),
        NetworkFailure::Unavailable(text) => format!("unavailable: {text}"),
        NetworkFailure::TooLarge(text) => format!("too large: {text}"),
        NetworkFailure::UsedUp(text) => format!("used up: {text}"),
    })
}

/// One HTTP exchange with an endpoint.
pub fn fetch(endpoint: &str) -> Result<String, Failure> {
    let endpoint = endpoint.split_whitespace().next().unwrap_or_default();
    let request = HttpRequest { method: "POST".into(), path: "/".into(), headers: Vec::new(), body: b"fetch".to_vec() };
    let reply = network::exchange(endpoint, &request).map_err(told)?;
    Ok(format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)))
}

/// Sends what follows the name of an endpoint over a channel, and says what comes back.
pub fn dial(arguments: &str) -> Result<String, Failure> {
    let (endpoint, text) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let channel = Channel::open(endpoint, "/ws").map_err(told)?;
    channel.send(text).map_err(told)?;
    Ok(format!("{:?}", channel.receive().map_err(told)?))
}

/// Holds so many channels at a time.
pub fn hoard_channels(count: u64) -> Result<String, Failure> {
    let channels: Result<Vec<Channel>, _> = (0..count).map(|_| Channel::open("env", "/")).collect();
    Ok(channels.map_err(told)?.len().to_string())
}
