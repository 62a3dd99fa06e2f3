// SPDX-License-Identifier: Apache-2.0
//! The groups that are known, and what goes on in them. No call here waits.

use super::{
    Arc, Attempt, BTreeMap, Fault, HashMap, Instant, Key, Options, Outcome, Place, Result, Server, duration, key::Hash,
    refused, watch,
};

/// So many groups may wait for members or be graded.
const MOST_ACTIVE: usize = 65_536;

/// One group.
pub(super) struct Group {
    /// Tells a group from a later one of the same key.
    number: u64,
    prompt: Hash,
    members: BTreeMap<usize, Member>,
    pub(super) phase: Phase,
    outcome: watch::Sender<Option<Arc<Outcome>>>,
}

struct Member {
    response: Hash,
    /// The request for the environment, until it is graded.
    request: String,
}

/// Where a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Members are missing, until then.
    Collecting(Instant),
    Evaluating,
    /// Graded or failed, since then.
    Done(Instant),
}

/// The groups of a server.
#[derive(Default)]
pub(super) struct Registry {
    groups: HashMap<Key, Group>,
    /// The newest attempt at each named group.
    newest: HashMap<String, Newest>,
    count: u64,
}

struct Newest {
    attempt: u64,
    prompt: Hash,
    seen: Instant,
}

/// An attempt that has its place in a group.
pub(super) struct Joined {
    pub(super) number: u64,
    pub(super) slot: usize,
    pub(super) outcome: watch::Receiver<Option<Arc<Outcome>>>,
    /// Until when members may arrive, while some are missing.
    pub(super) deadline: Option<Instant>,
    /// The requests of all members, for the one that completed the group.
    pub(super) complete: Option<Vec<String>>,
}

impl Registry {
    /// How many groups are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Gives an attempt its place. Refused with 409 when another response has it, when the group has another prompt, or
    /// when there is a newer attempt at the group.
    pub(super) fn join(
        &mut self,
        place: &Place,
        attempt: &Attempt,
        server: &Server,
        options: &Options,
    ) -> Result<Joined> {
        let now = Instant::now();
        self.forget(now, options);
        self.check_newest(place, now)?;
        if !self.groups.contains_key(&place.key) {
            if self.groups.values().filter(|group| !group.is_done()).count() >= MOST_ACTIVE {
                return Err(Fault::busy("too many groups wait for their members", 5).into());
            }
            self.count += 1;
            let group = Group {
                number: self.count,
                prompt: place.prompt,
                members: BTreeMap::new(),
                phase: Phase::Collecting(now + duration(options.collect_seconds)),
                outcome: watch::Sender::new(None),
            };
            self.groups.insert(place.key.clone(), group);
        }
        let group = self.groups.get_mut(&place.key).expect("it was made above if it was not there");
        if group.prompt != place.prompt {
            return Err(refused(409, "the group received inconsistent prompt or principle content"));
        }
        let known = match place.slot {
            Some(slot) => Some(slot).filter(|slot| group.members.contains_key(slot)),
            None => None,
        };
        let slot = known.or(place.slot).unwrap_or(group.members.len());
        if group.failed() {
            return Ok(group.joined(slot, None));
        }
        match group.members.get(&slot) {
            Some(member) if member.response != place.response => {
                let text = format!("the group already has a different response for _ng_rollout_index={slot}");
                return Err(refused(409, &text));
            }
            Some(_) => return Ok(group.joined(slot, None)),
            None if !matches!(group.phase, Phase::Collecting(_)) => {
                let text = format!("the group is complete; _ng_rollout_index={slot} cannot be added");
                return Err(refused(409, &text));
            }
            None => {}
        }
        let request = attempt.for_environment(server);
        group.members.insert(slot, Member { response: place.response, request });
        let complete = (group.members.len() == options.size).then(|| {
            group.phase = Phase::Evaluating;
            group.members.values_mut().map(|member| std::mem::take(&mut member.request)).collect()
        });
        Ok(group.joined(slot, complete))
    }

    /// Of the attempts at a named group only the newest goes on; older ones fail.
    fn check_newest(&mut self, place: &Place, now: Instant) -> Result<()> {
        let Key::Explicit { id, attempt } = &place.key else { return Ok(()) };
        let newest =
            self.newest.entry(id.clone()).or_insert(Newest { attempt: *attempt, prompt: place.prompt, seen: now });
        if newest.prompt != place.prompt {
            return Err(refused(409, &format!("the group {id:?} received inconsistent prompt or principle content")));
        }
        if *attempt < newest.attempt {
            let text = format!("attempt {attempt} at the group {id:?} was superseded by attempt {}", newest.attempt);
            return Err(refused(409, &text));
        }
        newest.seen = now;
        newest.attempt = *attempt;
        for (key, group) in &mut self.groups {
            if let Key::Explicit { id: other, attempt: older } = key
                && other == id
                && older < attempt
                && !group.is_done()
            {
                let text = format!("attempt {older} at the group {id:?} was superseded by attempt {attempt}");
                group.end(Outcome::Unfit(text));
            }
        }
        Ok(())
    }

    /// The group's members have not all arrived in time.
    pub(super) fn expire(&mut self, key: &Key, number: u64, options: &Options) {
        if let Some(group) = self.groups.get_mut(key).filter(|group| group.number == number) {
            group.expire(options);
        }
    }

    /// The group was graded. One that failed in the meantime stays failed. Groups that were not named are forgotten when
    /// all went well, so that the same prompt can be asked again.
    pub(super) fn finish(&mut self, key: &Key, number: u64, outcome: Outcome) {
        let Some(group) = self.groups.get_mut(key).filter(|group| group.number == number) else { return };
        if group.phase != Phase::Evaluating {
            return;
        }
        let graded = matches!(outcome, Outcome::Graded(_));
        group.end(outcome);
        if graded && !key.is_explicit() {
            self.groups.remove(key);
        }
    }

    /// Forgets groups that have been done for long, or are too many; fails those that nobody waited for.
    fn forget(&mut self, now: Instant, options: &Options) {
        for group in self.groups.values_mut() {
            if matches!(group.phase, Phase::Collecting(deadline) if deadline <= now) {
                group.expire(options);
            }
        }
        if let Some(seconds) = options.keep_seconds {
            let kept = duration(seconds);
            self.groups.retain(|_, group| !matches!(group.phase, Phase::Done(since) if now - since >= kept));
        }
        let mut done: Vec<Instant> = self.groups.values().filter_map(Group::done_since).collect();
        if done.len() > options.keep {
            done.sort_unstable();
            let oldest = done[done.len() - options.keep];
            self.groups.retain(|_, group| group.done_since().is_none_or(|since| since >= oldest));
        }
        if self.newest.len() > options.keep || options.keep_seconds.is_some() {
            let active: std::collections::HashSet<&str> = self
                .groups
                .iter()
                .filter(|(_, group)| !group.is_done())
                .filter_map(|(key, _)| if let Key::Explicit { id, .. } = key { Some(id.as_str()) } else { None })
                .collect();
            let mut idle: Vec<Instant> = self
                .newest
                .iter()
                .filter(|(id, _)| !active.contains(id.as_str()))
                .map(|(_, newest)| newest.seen)
                .collect();
            idle.sort_unstable();
            let excess = idle.len().saturating_sub(options.keep);
            let too_old = excess.checked_sub(1).map(|last| idle[last]);
            let kept = options.keep_seconds.map(duration);
            self.newest.retain(|id, newest| {
                active.contains(id.as_str())
                    || too_old.is_none_or(|old| newest.seen > old) && kept.is_none_or(|kept| now - newest.seen < kept)
            });
        }
    }
}

impl Group {
    fn joined(&self, slot: usize, complete: Option<Vec<String>>) -> Joined {
        let deadline = match self.phase {
            Phase::Collecting(deadline) => Some(deadline),
            Phase::Evaluating | Phase::Done(_) => None,
        };
        Joined { number: self.number, slot, outcome: self.outcome.subscribe(), deadline, complete }
    }

    fn is_done(&self) -> bool {
        self.done_since().is_some()
    }

    fn done_since(&self) -> Option<Instant> {
        if let Phase::Done(since) = self.phase { Some(since) } else { None }
    }

    fn failed(&self) -> bool {
        self.outcome.borrow().as_ref().is_some_and(|outcome| !matches!(**outcome, Outcome::Graded(_)))
    }

    fn expire(&mut self, options: &Options) {
        if matches!(self.phase, Phase::Collecting(_)) {
            let text = format!(
                "only {} of the {} members of the group arrived within {} s",
                self.members.len(),
                options.size,
                options.collect_seconds
            );
            self.end(Outcome::Unfit(text));
        }
    }

    /// Tells everybody who waits. The requests are not needed any more.
    fn end(&mut self, outcome: Outcome) {
        self.phase = Phase::Done(Instant::now());
        self.members.values_mut().for_each(|member| member.request = String::new());
        self.outcome.send_replace(Some(Arc::new(outcome)));
    }
}
