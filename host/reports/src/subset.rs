// SPDX-License-Identifier: Apache-2.0
//! Choosing tasks, and writing their rows as a dataset.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use gym_data::jsonl::{JsonlError, Reader};

use crate::{
    bands::Band,
    content::of_prompt,
    profile::{Profile, TaskProfile},
};

/// Which tasks are chosen: those that fulfil everything that is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only tasks of these bands; all if empty.
    pub bands: Vec<Band>,
    /// Only tasks of this agent.
    pub agent: Option<String>,
    /// The lowest mean reward.
    pub min_mean: Option<f64>,
    /// The highest mean reward.
    pub max_mean: Option<f64>,
    /// The smallest standard deviation of the rewards.
    pub min_std: Option<f64>,
    /// The fewest measured rollouts.
    pub min_rollouts: Option<u64>,
    /// The fewest tool calls on average.
    pub min_calls: Option<f64>,
    /// The most tool calls on average.
    pub max_calls: Option<f64>,
}

impl Filter {
    /// Whether it lets every task pass.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a task is chosen. Tasks without a measured reward are not.
    pub fn accepts(&self, task: &TaskProfile) -> bool {
        let (Some(mean), Some(std)) = (task.mean, task.std) else { return false };
        (self.bands.is_empty() || task.band.is_some_and(|band| self.bands.contains(&band)))
            && self.agent.as_ref().is_none_or(|agent| *agent == task.agent)
            && self.min_mean.is_none_or(|least| mean >= least)
            && self.max_mean.is_none_or(|most| mean <= most)
            && self.min_std.is_none_or(|least| std >= least)
            && self.min_rollouts.is_none_or(|least| task.rollouts - task.masked >= least)
            && self.min_calls.is_none_or(|least| task.calls >= least)
            && self.max_calls.is_none_or(|most| task.calls <= most)
    }
}

/// The rows cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SubsetError {
    /// The rows that were run cannot be read.
    #[error(transparent)]
    Rows(#[from] JsonlError),
    /// The file cannot be written.
    #[error("failed to write {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Writes the row of each chosen task once, in the order of `inputs` (the rows that were run), without what belongs to a
/// single rollout. The file is whole or not there. Returns how many there are.
pub fn write_subset(profile: &Profile, filter: &Filter, inputs: &Path, output: &Path) -> Result<u64, SubsetError> {
    let mut chosen: HashSet<u64> =
        profile.tasks.iter().filter(|task| filter.accepts(task)).map(|task| task.task).collect();
    let problem = |source| SubsetError::File { path: output.display().to_string(), source };
    let mut reader = Reader::open(inputs)?;
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let partial = output.with_file_name(format!("{name}.partial"));
    let mut write = || -> Result<u64, SubsetError> {
        let mut file = BufWriter::new(File::create(&partial).map_err(problem)?);
        let mut rows = 0;
        while let Some(mut row) = reader.next_row()? {
            let task = match row.members.get("_ng_task_index") {
                Some(task) => task.read::<u64>().ok(),
                None => of_prompt(&row.members).and_then(|prompt| profile.prompts.get(&prompt).copied()),
            };
            if !task.is_some_and(|task| chosen.remove(&task)) {
                continue;
            }
            for name in
                ["_ng_task_index", "_ng_rollout_index", "_ng_session_seed", "_ng_attempt_index", "_ng_rollout_id"]
            {
                row.members.remove(name);
            }
            file.write_all(row.members.to_raw().bytes()).and_then(|()| file.write_all(b"\n")).map_err(problem)?;
            rows += 1;
        }
        file.flush().and_then(|()| file.get_ref().sync_data()).map_err(problem)?;
        std::fs::rename(&partial, output).map_err(problem)?;
        Ok(rows)
    };
    write().inspect_err(|_| {
        // What was written so far is of no use; the error that matters is the one returned.
        std::fs::remove_file(&partial).ok();
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::sample;

    #[test]
    fn chosen_tasks_become_a_dataset() {
        let folder = tempfile::tempdir().unwrap();
        let (inputs, output) = (folder.path().join("in.jsonl"), folder.path().join("subset.jsonl"));
        let row = |task: u64, repeat: u64| {
            format!(
                "{{\"x\":[1.50],\"_ng_task_index\":{task},\"_ng_rollout_index\":{repeat},\"_ng_session_seed\":5}}\n"
            )
        };
        std::fs::write(&inputs, row(1, 0) + &row(0, 0) + &row(0, 1) + &row(7, 0)).unwrap();
        let profile = sample();
        let cases: [(Filter, u64); 6] = [
            (Filter::default(), 2),
            (Filter { bands: vec![Band::Medium], ..Filter::default() }, 1),
            (Filter { min_mean: Some(0.1), max_mean: Some(0.9), ..Filter::default() }, 1),
            (Filter { min_std: Some(0.6), ..Filter::default() }, 0),
            (Filter { min_calls: Some(2.0), min_rollouts: Some(4), ..Filter::default() }, 1),
            (Filter { agent: Some("<b>".to_owned()), ..Filter::default() }, 0),
        ];
        for (filter, expected) in cases {
            assert_eq!(write_subset(&profile, &filter, &inputs, &output).unwrap(), expected, "{filter:?}");
        }
        let medium = Filter { bands: vec![Band::Medium], ..Filter::default() };
        write_subset(&profile, &medium, &inputs, &output).unwrap();
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "{\"x\":[1.50]}\n");
        std::fs::write(&inputs, "{\n").unwrap();
        assert!(write_subset(&profile, &medium, &inputs, &output).is_err());
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "{\"x\":[1.50]}\n", "the earlier file is untouched");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
