// SPDX-License-Identifier: Apache-2.0
//! The first thing a newcomer runs.

use crate::{setup, shell};

/// Builds the host and the example environments, and collects rollouts of all their tasks.
pub(crate) fn run(repeats: u32) -> anyhow::Result<()> {
    setup::for_environments()?;
    shell::cargo(["build", "--workspace", "--bin", "gym-host"]).run()?;
    let host = shell::root().join("target/debug/gym-host");
    shell::command(&host).args(["build", "--all"]).run()?;
    shell::command(&host)
        .args(["eval", "--config", "configs/quickstart.yaml", "--output", "rollouts/quickstart.jsonl", "--fresh"])
        .args(["--num-repeats", &repeats.to_string()])
        .run()
}
