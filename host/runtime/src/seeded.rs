// SPDX-License-Identifier: Apache-2.0
//! Clock and randomness of an instance. Both follow from a seed, so that a session can be replayed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// 2026-01-01T00:00:00Z in seconds since 1970. Session clocks start within the year after it.
const CLOCK_ORIGIN_S: u64 = 1_767_225_600;

/// What one reading of a clock takes, in nanoseconds.
pub(crate) const READING_NS: u64 = 10_000;

/// The stream of random numbers called SplitMix64. Not secret, and not meant to be: an environment must not be able to
/// do what a replay could not repeat.
#[derive(Clone, Debug)]
pub(crate) struct Randomness(u64);

/// The streams of one instance. Each interface has its own, so that what one library draws does not shift another's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Host = 1,
    WasiSecure = 2,
    WasiInsecure = 3,
    WasiInsecureSeed = 4,
    Clock = 5,
}

impl Randomness {
    pub(crate) fn new(seed: u64, stream: Stream) -> Self {
        // Two rounds take the streams of neighbouring seeds apart.
        let mut start = Self(seed ^ (stream as u64).wrapping_mul(0xa076_1d64_78bd_642f));
        let first = start.next();
        Self(first ^ start.next().rotate_left(32))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count.next_multiple_of(8));
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

/// A clock that stands still but for its readers: each reading takes [`READING_NS`], and sleeping moves it to the end of
/// the sleep. No real time passes.
#[derive(Debug)]
pub(crate) struct VirtualClock {
    /// Nanoseconds since the instance began; never goes back.
    elapsed: AtomicU64,
    /// What `elapsed` was when the wall clock showed `start`.
    restarted_at: AtomicU64,
    /// Where the wall clock starts, in nanoseconds since 1970.
    start: u64,
    /// The earliest time that somebody sleeps for at this moment.
    next_alarm: AtomicU64,
}

impl VirtualClock {
    pub(crate) fn new(seed: u64) -> Self {
        let second = Randomness::new(seed, Stream::Clock).next() % (365 * 24 * 3600);
        Self {
            elapsed: AtomicU64::new(0),
            restarted_at: AtomicU64::new(0),
            start: (CLOCK_ORIGIN_S + second) * 1_000_000_000,
            next_alarm: AtomicU64::new(u64::MAX),
        }
    }

    /// Puts the wall clock back to its start. The monotonic one goes on, as programs rely on it.
    pub(crate) fn restart_wall(&self) {
        self.restarted_at.store(self.elapsed.load(Relaxed), Relaxed);
    }

    /// Nanoseconds since the instance began.
    pub(crate) fn monotonic(&self) -> u64 {
        self.advance_to(self.elapsed.load(Relaxed).saturating_add(READING_NS))
    }

    /// Nanoseconds since 1970.
    pub(crate) fn wall(&self) -> u64 {
        let since = self.monotonic() - self.restarted_at.load(Relaxed);
        self.start.saturating_add(since)
    }

    fn advance_to(&self, time: u64) -> u64 {
        // One instance is one thread of control; the atomics only make the clock shareable with its timers.
        let now = self.elapsed.load(Relaxed).max(time);
        self.elapsed.store(now, Relaxed);
        now
    }

    /// Says that somebody sleeps until `time`.
    pub(crate) fn set_alarm(&self, time: u64) {
        self.next_alarm.fetch_min(time, Relaxed);
    }

    /// Forgets all alarms.
    pub(crate) fn clear_alarms(&self) {
        self.next_alarm.store(u64::MAX, Relaxed);
    }

    /// Whether the sleep until `time` is over. The first of all sleepers moves the clock there.
    pub(crate) fn wakes(&self, time: u64) -> bool {
        if time <= self.next_alarm.load(Relaxed) {
            self.advance_to(time);
        }
        time <= self.elapsed.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for the state 1234567, as published with the algorithm's reference implementation.
        let mut stream = Randomness(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([stream.next(), stream.next(), stream.next()], expected);
    }

    #[test]
    fn streams_and_seeds_differ_and_repeat() {
        let first = |seed, stream| Randomness::new(seed, stream).bytes(12);
        assert_eq!(first(7, Stream::Host), first(7, Stream::Host));
        assert_ne!(first(7, Stream::Host), first(7, Stream::WasiSecure));
        assert_ne!(first(7, Stream::Host), first(8, Stream::Host));
        assert_eq!(first(7, Stream::Host).len(), 12);
        // The SDK's context for tests gives the same numbers.
        assert_eq!(Randomness::new(5, Stream::Host).next(), 9_992_974_101_491_130_657);
    }

    #[test]
    fn a_reading_takes_ten_microseconds() {
        let clock = VirtualClock::new(0);
        let start = clock.start;
        assert_eq!(clock.monotonic(), 10_000);
        assert_eq!(clock.wall(), start + 20_000);
        clock.restart_wall();
        assert_eq!(clock.wall(), start + 10_000);
        assert_eq!(clock.monotonic(), 40_000);
        assert!((CLOCK_ORIGIN_S..CLOCK_ORIGIN_S + 366 * 24 * 3600).contains(&(start / 1_000_000_000)));
    }

    #[test]
    fn the_earliest_sleeper_wakes_first() {
        let clock = VirtualClock::new(0);
        clock.set_alarm(5_000_000);
        clock.set_alarm(3_000_000);
        assert!(!clock.wakes(5_000_000));
        assert!(clock.wakes(3_000_000));
        assert_eq!(clock.monotonic(), 3_010_000);
    }
}
