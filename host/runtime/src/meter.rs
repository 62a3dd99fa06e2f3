// SPDX-License-Identifier: Apache-2.0
//! Counting the CPU time of a guest.
//!
//! A call is a future, and a future runs only while it is polled. So the CPU time of a call is what the thread's CPU clock
//! advanced during its polls: waiting for a model, for a turn or for a busy machine's scheduler does not count.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use rustix::time::{ClockId, clock_gettime};

/// CPU time of the current thread in nanoseconds.
fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The poll that runs on this thread.
#[derive(Clone, Copy)]
struct Slice {
    /// CPU time that earlier polls of the call used.
    before: u64,
    /// The thread's CPU clock when this poll began.
    began: u64,
    /// The budget of the call.
    budget: u64,
}

thread_local! {
    static SLICE: Cell<Option<Slice>> = const { Cell::new(None) };
}

/// CPU time that the call running on this thread has used, and its budget, in nanoseconds. None outside a call.
pub(crate) fn spent_and_budget() -> Option<(u64, u64)> {
    let slice = SLICE.get()?;
    Some((slice.before + thread_cpu().saturating_sub(slice.began), slice.budget))
}

/// CPU time that the call running on this thread has used, in nanoseconds; 0 outside a call.
pub(crate) fn spent() -> u64 {
    spent_and_budget().map_or(0, |(spent, _)| spent)
}

/// A call whose CPU time is counted.
pub(crate) struct Metered<F> {
    call: F,
    spent: u64,
    budget: u64,
}

impl<F> Metered<F> {
    /// Counts the CPU time of `call` against a budget in nanoseconds. The guest's tick callback enforces it.
    pub(crate) fn new(call: F, budget: u64) -> Self {
        Self { call, spent: 0, budget }
    }

    /// CPU time of all polls so far, in nanoseconds.
    pub(crate) fn spent(&self) -> u64 {
        self.spent
    }
}

/// Puts back what an outer call on the same thread had, also when the poll unwinds.
struct Restore(Option<Slice>);

impl Drop for Restore {
    fn drop(&mut self) {
        SLICE.set(self.0);
    }
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let began = thread_cpu();
        let slice = Slice { before: self.spent, began, budget: self.budget };
        let restore = Restore(SLICE.replace(Some(slice)));
        let outcome = Pin::new(&mut self.call).poll(context);
        drop(restore);
        self.spent += thread_cpu().saturating_sub(began);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Burns CPU until the thread's clock has advanced by so much.
    fn burn(nanoseconds: u64) {
        let end = thread_cpu() + nanoseconds;
        while thread_cpu() < end {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn cpu_time_adds_up_over_polls_and_not_between_them() {
        let mut polls = 0;
        let mut seen = 0;
        let mut call = Metered::new(
            std::future::poll_fn(|_| {
                polls += 1;
                burn(2_000_000);
                seen = spent_and_budget().expect("inside a call").0;
                if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
            }),
            5,
        );
        let mut context = Context::from_waker(Waker::noop());
        let (began, mut between) = (thread_cpu(), 0);
        while Pin::new(&mut call).poll(&mut context).is_pending() {
            let pause = thread_cpu();
            burn(20_000_000);
            between += thread_cpu() - pause;
        }
        // Three polls of 2 ms; what was used between them is not in it.
        assert!(seen >= 6_000_000, "{seen}");
        assert!(seen + between <= thread_cpu() - began, "{seen} and {between}");
        assert_eq!(spent_and_budget(), None);
    }

    #[test]
    fn a_call_within_a_call_is_counted_on_its_own() {
        let mut context = Context::from_waker(Waker::noop());
        let mut outer = Metered::new(
            std::future::poll_fn(|context| {
                let mut inner = Metered::new(std::future::poll_fn(|_| Poll::Ready(spent_and_budget())), 7);
                let Poll::Ready(inside) = Pin::new(&mut inner).poll(context) else { panic!("ready at once") };
                Poll::Ready((inside, spent_and_budget()))
            }),
            9,
        );
        let Poll::Ready((inside, outside)) = Pin::new(&mut outer).poll(&mut context) else { panic!("ready at once") };
        assert_eq!((inside.expect("inside").1, outside.expect("outside").1), (7, 9));
    }
}
