// SPDX-License-Identifier: Apache-2.0
//! How long to wait, what to try again, and when to give up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

use crate::settings::{ModelError, Settings};

/// The limits of calls to one upstream. Every model server that calls out takes these keys; the defaults are those of
/// [`Policy::default`].
#[derive(Clone, Debug)]
pub struct Policy {
    /// `max_http_attempts`: tries of one call, the first included.
    pub max_attempts: u32,
    /// `attempt_timeout_s`: one try, from connecting to the last byte.
    pub attempt_timeout: Duration,
    /// `read_timeout_s`: the time between two pieces of a body that has begun.
    pub read_timeout: Duration,
    /// `total_timeout_s`: one call with all its tries, the time between them and the time in the queue.
    pub total_timeout: Duration,
    /// `retry_base_s`: the wait before the second try is a random part of this; it doubles from try to try.
    pub retry_base: Duration,
    /// `retry_cap_s`: the longest such wait. A longer `Retry-After` is honoured while it fits into the total time.
    pub retry_cap: Duration,
    /// `retry_statuses`: statuses that are tried again besides 408, 409, 425, 429, 500, 502, 503, 504 and 520.
    pub more_retry_statuses: BTreeSet<u16>,
    /// `circuit_breaker_failures`: failures in a row after which the upstream is left alone for a while; 0 never.
    pub circuit_failures: u32,
    /// `circuit_breaker_cooldown_s`: how long it is left alone at first; doubles up to a minute.
    pub circuit_cooldown: Duration,
    /// `max_concurrent_requests` (or `num_concurrent_requests`): calls under way at a time; others wait. Without it
    /// the limit is that of every upstream, [`max_per_upstream`](super::OutboundSettings::max_per_upstream).
    pub max_concurrent: Option<usize>,
    /// `max_waiting_requests`: calls that may wait for their turn; more are refused.
    pub max_waiting: usize,
    /// `max_response_bytes`: the largest body that is read.
    pub max_response_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            attempt_timeout: Duration::from_secs(1800),
            read_timeout: Duration::from_secs(300),
            total_timeout: Duration::from_secs(3600),
            retry_base: Duration::from_millis(500),
            retry_cap: Duration::from_secs(30),
            more_retry_statuses: BTreeSet::new(),
            circuit_failures: 20,
            circuit_cooldown: Duration::from_secs(2),
            max_concurrent: None,
            max_waiting: 65_536,
            max_response_bytes: 256 << 20,
        }
    }
}

/// Statuses that another try may cure.
const RETRY_STATUSES: [u16; 9] = [408, 409, 425, 429, 500, 502, 503, 504, 520];

impl Policy {
    /// The keys of a model server.
    pub fn read(settings: Settings<'_>) -> Result<Self, ModelError> {
        const ABOVE_0: &str = "a whole number above 0";
        let default = Self::default();
        let positive = |key: &str, default: usize| match settings.count(key)? {
            None => Ok(default),
            Some(0) => Err(settings.wrong(key, ABOVE_0, &0.into())),
            Some(count) => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        };
        let concurrency = ["max_concurrent_requests", "num_concurrent_requests"]
            .into_iter()
            .find(|key| settings.get(key).is_some())
            .unwrap_or("max_concurrent_requests");
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let statuses = match settings.get("retry_statuses") {
            None => BTreeSet::new(),
            Some(value) => serde_json::from_value(value.clone())
                .map_err(|_| settings.wrong("retry_statuses", "a list of HTTP statuses", value))?,
        };
        Ok(Self {
            max_attempts: small(positive("max_http_attempts", default.max_attempts as usize)?),
            attempt_timeout: settings.seconds("attempt_timeout_s")?.unwrap_or(default.attempt_timeout),
            read_timeout: settings.seconds("read_timeout_s")?.unwrap_or(default.read_timeout),
            total_timeout: settings.seconds("total_timeout_s")?.unwrap_or(default.total_timeout),
            retry_base: settings.seconds("retry_base_s")?.unwrap_or(default.retry_base),
            retry_cap: settings.seconds("retry_cap_s")?.unwrap_or(default.retry_cap),
            more_retry_statuses: statuses,
            circuit_failures: match settings.count("circuit_breaker_failures")? {
                None => default.circuit_failures,
                Some(count) => u32::try_from(count).unwrap_or(u32::MAX),
            },
            circuit_cooldown: settings.seconds("circuit_breaker_cooldown_s")?.unwrap_or(default.circuit_cooldown),
            max_concurrent: match settings.count(concurrency)? {
                None => None,
                Some(_) => Some(positive(concurrency, 1)?),
            },
            max_waiting: match settings.count("max_waiting_requests")? {
                None => default.max_waiting,
                Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
            },
            max_response_bytes: positive("max_response_bytes", default.max_response_bytes)?,
        })
    }

    /// Whether a status is worth another try.
    pub(super) fn retries(&self, status: u16) -> bool {
        RETRY_STATUSES.contains(&status) || self.more_retry_statuses.contains(&status)
    }

    /// The wait after `tries` failed tries: a random part of the exponential back-off ("full jitter"), or what the
    /// upstream asked for and a little more, so that those who were told the same moment do not come back together.
    pub(super) fn backoff(&self, tries: u32, asked: Option<Duration>, jitter: &Jitter) -> Duration {
        if let Some(asked) = asked {
            return asked + self.retry_base.mul_f64(jitter.fraction());
        }
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1).min(20));
        self.retry_base.saturating_mul(doubled).min(self.retry_cap).mul_f64(jitter.fraction())
    }
}

/// Random fractions; a fixed seed gives fixed ones.
pub struct Jitter(AtomicU64);

impl Jitter {
    /// From a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// From the operating system's randomness.
    pub fn random() -> Self {
        Self::seeded(uuid::Uuid::new_v4().as_u64_pair().0)
    }

    /// At least 0, less than 1 (splitmix64).
    fn fraction(&self) -> f64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut x = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        (x >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How long the upstream asks to wait: `retry-after-ms`, or `Retry-After` as seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    const LONGEST: f64 = 86_400.0;
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let bounded = |seconds: f64| (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST)));
    if let Some(wait) = text("retry-after-ms").and_then(|text| bounded(text.parse::<f64>().ok()? / 1000.0)) {
        return Some(wait);
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse::<f64>() {
        return bounded(seconds);
    }
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(http_date(text)?.saturating_sub(now).min(LONGEST as u64)))
}

/// Unix seconds of an HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    if parts.next() != Some("GMT") || !(1970..=9999).contains(&year) || day == 0 || day > 31 || hour > 23 {
        return None;
    }
    // Days since 1 March of year 0, with the leap day at the end of the year.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    (days.checked_sub(719_468)? * 24 + hour).checked_mul(3600)?.checked_add(minute.min(59) * 60 + second.min(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_unix_seconds() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 12:00:00 GMT", Some(1_709_208_000)),
            ("tomorrow", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
        ] {
            assert_eq!(http_date(text), seconds, "{text}");
        }
    }

    #[test]
    fn the_upstream_says_how_long_to_wait() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
        let check = |name: &'static str, value: &'static str, wait: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            assert_eq!(retry_after(&headers, now), wait.map(Duration::from_millis), "{name}: {value}");
        };
        check("retry-after", "3", Some(3000));
        check("retry-after", "0.5", Some(500));
        check("retry-after-ms", "250", Some(250));
        check("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(7000));
        check("retry-after", "Sun, 06 Nov 1994 08:49:27 GMT", Some(0));
        check("retry-after", "-1", None);
        check("retry-after", "soon", None);
        check("retry-after", "NaN", None);
        check("retry-after", "1e300", Some(86_400_000));
    }

    #[test]
    fn waits_grow_up_to_the_cap_and_are_a_random_part_of_it() {
        let policy = Policy::default();
        let jitter = Jitter::seeded(1);
        for (tries, most) in [(1, 500), (2, 1000), (4, 4000), (7, 30_000), (1000, 30_000)] {
            let waits: Vec<_> = (0..200).map(|_| policy.backoff(tries, None, &jitter)).collect();
            assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(most)));
            assert!(waits.iter().any(|wait| *wait < Duration::from_millis(most / 4)));
            assert!(waits.iter().any(|wait| *wait > Duration::from_millis(most / 4 * 3)));
        }
        let asked = policy.backoff(1, Some(Duration::from_secs(60)), &jitter);
        assert!((60_000..60_500).contains(&asked.as_millis()));
    }

    #[test]
    fn fractions_follow_the_seed() {
        let draw = |seed| {
            let jitter = Jitter::seeded(seed);
            [jitter.fraction(), jitter.fraction()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
