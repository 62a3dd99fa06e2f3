// SPDX-License-Identifier: Apache-2.0
//! What is shown while rollouts are collected: a bar on a terminal, a line now and then elsewhere, or events as JSON.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use gym_rollouts::{Event, Observer};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use parking_lot::Mutex;

use crate::failure::Failure;

/// How a collection is shown.
pub(crate) enum Display {
    /// Not at all.
    Silent,
    /// To a person, on standard error.
    Person(Progress),
    /// To a machine, on standard output.
    Machine(Events),
}

/// Prints events as lines of JSON.
#[derive(Default)]
pub(crate) struct Events {
    /// Why no more are printed.
    problem: Mutex<Option<io::Error>>,
}

/// Shows events to a person.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: u64,
    done: u64,
    measured: u64,
    sum: f64,
    tokens: u64,
    faults: BTreeMap<String, u64>,
    /// Tenths of the work that have been announced.
    tenths: u64,
}

impl Progress {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            // The bar takes what a line leaves and the message is cut at the end of one, so that a narrow terminal has
            // whole lines too.
            let style =
                ProgressStyle::with_template("{wide_bar} {pos}/{len}  {rate} rollouts/s  ETA {eta}\n{wide_msg}");
            let bar = ProgressBar::new(0);
            bar.set_style(style.expect("the template is well-formed").with_key("rate", rate));
            // Between rollouts that take long the time left goes on.
            bar.enable_steady_tick(Duration::from_secs(1));
            bar
        });
        Self { bar, state: Mutex::default() }
    }
}

impl Display {
    /// As the options say.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        match (json, quiet) {
            (true, _) => Self::Machine(Events::default()),
            (false, true) => Self::Silent,
            (false, false) => Self::Person(Progress::new()),
        }
    }

    /// Whether all events were printed that somebody waits for.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        match self {
            Self::Machine(events) => events.end(),
            Self::Silent | Self::Person(_) => Ok(()),
        }
    }
}

impl Observer for Display {
    fn event(&self, event: &Event) {
        match self {
            Self::Silent => {}
            Self::Person(progress) => progress.event(event),
            Self::Machine(events) => events.event(event),
        }
    }
}

impl Events {
    fn end(&self) -> Result<(), Failure> {
        match self.problem.lock().take() {
            // Who read has seen enough.
            Some(problem) if problem.kind() != io::ErrorKind::BrokenPipe => {
                let failure = Failure::infrastructure(format!("failed to print events: {problem}"));
                Err(failure.with_hint("the rollouts are in their file; make room where standard output goes"))
            }
            _ => Ok(()),
        }
    }
}

impl Observer for Events {
    fn event(&self, event: &Event) {
        let mut problem = self.problem.lock();
        if problem.is_some() {
            return;
        }
        let mut line = serde_json::to_vec(event).expect("plain data serialises");
        line.push(b'\n');
        let mut out = io::stdout().lock();
        // The rollouts go to their file all the same.
        *problem = out.write_all(&line).and_then(|()| out.flush()).err();
    }
}

impl Observer for Progress {
    fn event(&self, event: &Event) {
        let mut state = self.state.lock();
        match event {
            Event::Started { total, done, repaired_bytes } => {
                (state.total, state.done) = (*total, *done);
                if let Some(bar) = &self.bar {
                    bar.set_length(*total);
                    bar.set_position(*done);
                    bar.reset_eta();
                }
                let earlier =
                    if *done > 0 { format!(", {done} of them done by an earlier run") } else { String::new() };
                self.line(&format!("collecting {total} rollouts{earlier}"));
                if *repaired_bytes > 0 {
                    self.line(&format!("removed a last row that was cut short ({repaired_bytes} bytes)"));
                }
            }
            Event::Done { reward, tokens, .. } => {
                state.done += 1;
                state.tokens += tokens;
                if let Some(reward) = reward {
                    state.measured += 1;
                    state.sum += reward;
                }
                self.show(&mut state);
            }
            Event::Failed { class, .. } => {
                *state.faults.entry(class.clone()).or_default() += 1;
                self.show(&mut state);
            }
            Event::Stopping => self.line("stopping: rollouts in flight may finish; a second signal drops them"),
            Event::Finished(_) => {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

impl Progress {
    fn show(&self, state: &mut State) {
        let tenths = (state.done * 10).checked_div(state.total).unwrap_or(0);
        match &self.bar {
            Some(bar) => {
                bar.set_position(state.done);
                bar.set_message(state.text());
            }
            None if tenths > state.tenths => {
                state.tenths = tenths;
                self.line(&format!("{:>3} %  {}/{}  {}", tenths * 10, state.done, state.total, state.text()));
            }
            None => {}
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }
}

impl State {
    fn text(&self) -> String {
        let mut text = match self.measured {
            0 => "no reward yet".to_owned(),
            count => format!("mean reward {:.4}", self.sum / count as f64),
        };
        for (class, count) in &self.faults {
            text.push_str(&format!("  {class}: {count}"));
        }
        if self.tokens > 0 {
            text.push_str(&format!("  {} tokens", short(self.tokens)));
        }
        text
    }
}

/// Rollouts a second, with one decimal.
fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // What cannot be formatted is not shown; a bar has nobody to tell.
    write!(out, "{:.1}", state.per_sec()).ok();
}

/// A count in at most six characters.
fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{:.1}k", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", count as f64 / 1e6),
        _ => format!("{:.1}G", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_the_reward_the_faults_and_the_tokens() {
        let state = |measured: u64, tokens: u64, faults: &[(&str, u64)]| State {
            measured,
            sum: measured as f64 / 4.0,
            tokens,
            faults: faults.iter().map(|(class, count)| ((*class).to_owned(), *count)).collect(),
            ..State::default()
        };
        for (state, text) in [
            (state(0, 0, &[]), "no reward yet"),
            (state(8, 9_999, &[]), "mean reward 0.2500  9999 tokens"),
            (
                state(8, 12_345_678, &[("timeout", 3), ("agent_run", 1)]),
                "mean reward 0.2500  agent_run: 1  timeout: 3  12.3M tokens",
            ),
        ] {
            assert_eq!(state.text(), text);
        }
    }
}
