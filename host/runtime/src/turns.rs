// SPDX-License-Identifier: Apache-2.0
//! Taking turns: which calls compute now, and which wait.
//!
//! A call computes while it has a seat, and there are as many seats as threads. More calls at a time would not be done any
//! sooner, but each would need an instance of its own, and all would be done late. So a call that has begun keeps its seat
//! until it is done, and others wait in the order in which they came, the servers of this process by turns. A call that
//! waits for something else, such as a model, has no seat meanwhile.
//!
//! Calls that compute for long would keep the others waiting. The more CPU time a call has used, the lower its band; it
//! goes back to the end of its band's queue at every tick. When calls of several bands wait, each band has a share of the
//! machine, and the lowest band, of calls that may never end, a quarter of the share that the others have. Were the shares
//! less equal, calls of the middle bands and those that never end would gather, and all would wait for them in the end. One
//! thread is kept free of long calls, so that a short one that arrives need not wait for a tick.
//!
//! None of this changes what a call computes or how much CPU time it may use, only when it does.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// CPU time in nanoseconds from which on a call belongs to the second band, the third, and so on.
const BAND_BEGINS: [u64; 3] = [60_000_000, 240_000_000, 960_000_000];
const BANDS: usize = BAND_BEGINS.len() + 1;
/// What a band's time is multiplied with in its account: the higher, the smaller its share.
const WEIGHTS: [u64; BANDS] = [1, 1, 1, 4];

/// The seats of a machine.
#[derive(Clone)]
pub(crate) struct Seats(Arc<Shared>);

struct Shared {
    order: Mutex<Order>,
    lines: AtomicU64,
}

/// Who sits, and who waits.
struct Order {
    free: usize,
    /// How many more of the free seats may be taken by calls below the first band.
    free_for_long: usize,
    bands: [Band; BANDS],
    /// The account of the band that was served last. A band that was empty cannot claim the time from before.
    now: u64,
}

/// Calls that have used about as much CPU time.
#[derive(Default)]
struct Band {
    /// Time that its calls had seats, in nanoseconds, times the band's weight. The lowest account is served first.
    account: u64,
    /// Calls that had a seat before they waited for something else.
    back: VecDeque<oneshot::Sender<Seat>>,
    /// Calls by server; the server in front is next.
    lines: VecDeque<(u64, VecDeque<oneshot::Sender<Seat>>)>,
}

impl Band {
    fn is_empty(&self) -> bool {
        self.back.is_empty() && self.lines.is_empty()
    }

    fn push(&mut self, line: Option<u64>, waiter: oneshot::Sender<Seat>) {
        let Some(line) = line else { return self.back.push_back(waiter) };
        match self.lines.iter_mut().find(|(of, _)| *of == line) {
            Some((_, waiters)) => waiters.push_back(waiter),
            None => self.lines.push_back((line, VecDeque::from([waiter]))),
        }
    }

    fn pop(&mut self) -> Option<oneshot::Sender<Seat>> {
        if let Some(waiter) = self.back.pop_front() {
            return Some(waiter);
        }
        let (line, mut waiters) = self.lines.pop_front()?;
        let waiter = waiters.pop_front();
        if !waiters.is_empty() {
            self.lines.push_back((line, waiters));
        }
        waiter
    }
}

impl Order {
    fn has_seat_for(&self, band: usize) -> bool {
        self.free > 0 && (band == 0 || self.free_for_long > 0)
    }

    fn take(&mut self, band: usize) {
        self.free -= 1;
        if band > 0 {
            self.free_for_long -= 1;
        }
    }

    fn give_back(&mut self, band: usize) {
        self.free += 1;
        if band > 0 {
            self.free_for_long += 1;
        }
    }

    /// A band has its first call after it had none.
    fn wake(&mut self, band: usize) {
        if self.bands[band].is_empty() {
            self.bands[band].account = self.bands[band].account.max(self.now);
        }
    }

    /// Hands out what is free.
    fn hand_out(&mut self, shared: &Arc<Shared>) {
        loop {
            let waiting = (0..BANDS).filter(|band| !self.bands[*band].is_empty() && self.has_seat_for(*band));
            let Some(band) = waiting.min_by_key(|band| (self.bands[*band].account, *band)) else { return };
            self.now = self.now.max(self.bands[band].account);
            let Some(waiter) = self.bands[band].pop() else { return };
            self.take(band);
            if let Err(mut seat) = waiter.send(Seat::new(shared, band)) {
                // It does not wait any more. The order is locked here, so the seat must not give itself back.
                seat.of.take();
                self.give_back(band);
            }
        }
    }
}

impl Seats {
    /// So many seats, `for_long` of them for long calls too.
    pub(crate) fn new(count: usize, for_long: usize) -> Self {
        let count = count.max(1);
        let order = Order {
            free: count,
            free_for_long: for_long.clamp(1, count),
            bands: std::array::from_fn(|_| Band::default()),
            now: 0,
        };
        Self(Arc::new(Shared { order: Mutex::new(order), lines: AtomicU64::new(0) }))
    }

    /// A line for the calls of one server.
    pub(crate) fn line(&self) -> Line {
        Line { seats: self.clone(), id: self.0.lines.fetch_add(1, Relaxed) }
    }

    async fn seat(self, band: usize, line: Option<u64>) -> Option<Seat> {
        let waiting = {
            let mut order = self.0.order.lock();
            order.wake(band);
            // Whoever waits cannot use what is free, so nobody is overtaken.
            if order.has_seat_for(band) {
                order.take(band);
                order.now = order.now.max(order.bands[band].account);
                return Some(Seat::new(&self.0, band));
            }
            let (waiter, waiting) = oneshot::channel();
            order.bands[band].push(line, waiter);
            waiting
        };
        // Fails only if the order is gone, which `self` prevents.
        waiting.await.ok()
    }
}

/// The line of one server.
#[derive(Clone)]
pub(crate) struct Line {
    seats: Seats,
    id: u64,
}

impl Line {
    /// A seat for a call that begins.
    pub(crate) async fn seat(&self) -> Option<Seat> {
        self.seats.clone().seat(0, Some(self.id)).await
    }
}

/// The right to compute. Given up when dropped.
pub(crate) struct Seat {
    of: Option<Arc<Shared>>,
    band: usize,
    since: Instant,
}

impl Seat {
    fn new(shared: &Arc<Shared>, band: usize) -> Self {
        Self { of: Some(shared.clone()), band, since: Instant::now() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(shared) = self.of.take() else { return };
        let mut order = shared.order.lock();
        let time = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let account = &mut order.bands[self.band].account;
        *account = account.saturating_add(time.saturating_mul(WEIGHTS[self.band]));
        order.give_back(self.band);
        order.hand_out(&shared);
    }
}

/// The seat of one instance, while it has one.
pub(crate) struct Turn {
    line: Line,
    /// Shared with the future that waits for a seat, which cannot reach the instance's store.
    seat: Arc<Mutex<Option<Seat>>>,
}

impl Turn {
    pub(crate) fn new(line: Line) -> Self {
        Self { line, seat: Arc::new(Mutex::new(None)) }
    }

    /// The instance's next call has this seat.
    pub(crate) fn sit(&self, seat: Option<Seat>) {
        *self.seat.lock() = seat;
    }

    /// Gives the seat back: the call ends, or waits for something else.
    pub(crate) fn leave(&self) {
        self.seat.lock().take();
    }

    /// A seat again after waiting for something else, before calls that have not begun.
    pub(crate) async fn back(&self, spent_ns: u64) {
        let seat = self.line.seats.clone().seat(band_of(spent_ns), None).await;
        self.sit(seat);
    }

    /// What a call that has used so much CPU time waits for at a tick. None: it keeps its seat.
    pub(crate) fn next(&self, spent_ns: u64) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let band = band_of(spent_ns);
        if band == 0 {
            return None;
        }
        let Line { seats, id } = self.line.clone();
        let seat = self.seat.clone();
        Some(Box::pin(async move {
            seat.lock().take();
            tokio::task::yield_now().await;
            let next = seats.seat(band, Some(id)).await;
            *seat.lock() = next;
        }))
    }
}

fn band_of(spent_ns: u64) -> usize {
    BAND_BEGINS.iter().take_while(|begin| spent_ns >= **begin).count()
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Wait = Pin<Box<dyn Future<Output = Option<Seat>> + Send>>;

    /// The seat, if it is there now.
    fn ready(wait: &mut Wait) -> Option<Seat> {
        match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(seat) => Some(seat.expect("the order lives")),
            Poll::Pending => None,
        }
    }

    fn wait(seats: &Seats, band: usize, line: u64) -> Wait {
        let mut wait: Wait = Box::pin(seats.clone().seat(band, Some(line)));
        assert!(ready(&mut wait).is_none(), "it has to wait");
        wait
    }

    fn seat(seats: &Seats, band: usize) -> Seat {
        ready(&mut (Box::pin(seats.clone().seat(band, Some(0))) as Wait)).expect("a free seat")
    }

    #[test]
    fn bands_follow_from_the_cpu_time() {
        let cases = [(0, 0), (59_999_999, 0), (60_000_000, 1), (240_000_000, 2), (960_000_000, 3), (u64::MAX, 3)];
        for (spent, band) in cases {
            assert_eq!(band_of(spent), band, "{spent}");
        }
    }

    #[test]
    fn calls_wait_in_order_and_servers_by_turns() {
        let seats = Seats::new(1, 1);
        let sitting = seat(&seats, 0);
        let mut waits = vec![(1, wait(&seats, 0, 1)), (3, wait(&seats, 0, 1)), (2, wait(&seats, 0, 2))];
        drop(sitting);
        for turn in 1..=3 {
            let (at, seat) = waits
                .iter_mut()
                .enumerate()
                .find_map(|(at, (_, wait))| ready(wait).map(|seat| (at, seat)))
                .expect("somebody's turn");
            assert_eq!(waits.remove(at).0, turn);
            assert!(waits.iter_mut().all(|(_, wait)| ready(wait).is_none()));
            drop(seat);
        }
        drop(seat(&seats, 0));
    }

    #[test]
    fn who_goes_away_is_passed_over_and_its_seat_is_not_lost() {
        let seats = Seats::new(1, 1);
        let sitting = seat(&seats, 0);
        let gone = wait(&seats, 0, 1);
        let mut waits = wait(&seats, 0, 1);
        drop(gone);
        drop(sitting);
        let sitting = ready(&mut waits).expect("its turn");
        let given = wait(&seats, 0, 1);
        drop(sitting);
        // This one was given the seat and goes away before it knows.
        drop(given);
        drop(seat(&seats, 0));
    }

    #[test]
    fn long_calls_leave_a_seat_free() {
        let seats = Seats::new(2, 1);
        let long = seat(&seats, 3);
        let mut second = wait(&seats, 3, 1);
        let short = seat(&seats, 0);
        drop(short);
        assert!(ready(&mut second).is_none());
        drop(long);
        assert!(ready(&mut second).is_some());
    }

    #[test]
    fn the_lowest_band_has_a_quarter_of_the_share_of_the_others() {
        let seats = Seats::new(1, 1);
        let mut times = [0_usize; BANDS];
        let mut sitting = seat(&seats, 0);
        let mut waits: Vec<Wait> = (0..BANDS).map(|band| wait(&seats, band, 1)).collect();
        for _ in 0..1500 {
            // Each has its seat for so long that what the test itself takes does not count.
            sitting.since = Instant::now() - std::time::Duration::from_secs(100);
            drop(sitting);
            let (band, next) = waits
                .iter_mut()
                .enumerate()
                .find_map(|(band, wait)| ready(wait).map(|seat| (band, seat)))
                .expect("somebody has the seat");
            times[band] += 1;
            waits[band] = wait(&seats, band, 1);
            sitting = next;
        }
        // 4 : 4 : 4 : 1 of 1500.
        for (times, expected) in times.into_iter().zip([461, 461, 461, 115]) {
            assert!(times.abs_diff(expected) <= expected / 8, "{times} instead of {expected}");
        }
    }

    #[test]
    fn a_band_that_had_nobody_has_saved_nothing() {
        let seats = Seats::new(1, 1);
        for _ in 0..100 {
            let mut busy = seat(&seats, 0);
            busy.since = Instant::now() - std::time::Duration::from_secs(10_000);
            drop(busy);
        }
        let mut sitting = seat(&seats, 0);
        let (mut short, mut long) = (wait(&seats, 0, 1), wait(&seats, 3, 1));
        let mut turns = 0;
        // The account of the long call starts where the others are: it has one turn, and then waits for four.
        for _ in 0..9 {
            sitting.since = Instant::now() - std::time::Duration::from_secs(100);
            drop(sitting);
            sitting = if let Some(seat) = ready(&mut long) {
                turns += 1;
                long = wait(&seats, 3, 1);
                seat
            } else {
                let seat = ready(&mut short).expect("one of them");
                short = wait(&seats, 0, 1);
                seat
            };
        }
        assert!((1..=3).contains(&turns), "{turns}");
    }

    #[tokio::test]
    async fn a_call_that_waited_for_something_else_goes_before_those_that_begin() {
        let seats = Seats::new(1, 1);
        let line = seats.line();
        let turn = Turn::new(line.clone());
        turn.sit(line.seat().await);
        let other = Turn::new(line.clone());
        let mut begins = wait(&seats, 0, 1);
        turn.leave();
        let sitting = ready(&mut begins).expect("the seat that was left");
        let mut begins = wait(&seats, 0, 1);
        let back = turn.back(1);
        let mut back = std::pin::pin!(back);
        assert!(back.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(sitting);
        back.await;
        assert!(ready(&mut begins).is_none());
        // Within the first band nobody loses the seat at a tick; beyond it, all do in turn.
        assert!(turn.next(BAND_BEGINS[0] - 1).is_none());
        let next = turn.next(BAND_BEGINS[0]).expect("takes turns");
        let mut next = std::pin::pin!(next);
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        other.sit(ready(&mut begins));
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        other.leave();
        next.await;
        turn.leave();
        assert_eq!(seats.0.order.lock().free, 1);
    }
}
