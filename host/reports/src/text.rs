// SPDX-License-Identifier: Apache-2.0
//! A profile as text: for the terminal, and as CSV.

use crate::profile::{AgentProfile, Profile};

/// A number with three decimals, or `-`.
pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// A number without more decimals than it needs.
pub(crate) fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// Tables for the terminal. `tasks` is how many tasks are listed, those with the most to learn from first.
pub fn table(profile: &Profile, tasks: usize) -> String {
    let mut text = String::new();
    for agent in &profile.agents {
        of_agent(agent, &mut text);
    }
    let mut listed: Vec<_> = profile.tasks.iter().collect();
    listed.sort_by(|one, other| {
        let spread = |std: Option<f64>| std.unwrap_or(-1.0);
        spread(other.std).total_cmp(&spread(one.std)).then(one.task.cmp(&other.task))
    });
    listed.truncate(tasks);
    if !listed.is_empty() {
        text.push_str(&format!(
            "tasks with the widest spread of rewards ({} of {})\n",
            listed.len(),
            profile.tasks.len()
        ));
        text.push_str("    task  rollouts   mean    std    min    max  band      calls  agent\n");
    }
    for task in listed {
        text.push_str(&format!(
            "{:>8}  {:>8}  {:>5}  {:>5}  {:>5}  {:>5}  {:<8}  {:>5.1}  {}\n",
            task.task,
            task.rollouts,
            number(task.mean),
            number(task.std),
            number(task.min),
            number(task.max),
            task.band.map_or("-", |band| band.name()),
            task.calls,
            task.agent
        ));
    }
    text
}

fn of_agent(agent: &AgentProfile, text: &mut String) {
    let masked = if agent.masked > 0 { format!(", {} of them no measurements", agent.masked) } else { String::new() };
    text.push_str(&format!("{}: {} tasks, {} rollouts{masked}\n", agent.agent, agent.tasks, agent.rollouts));
    text.push_str(&format!(
        "  reward        mean {}  std {}  std within tasks {}  solved at least once {}\n",
        number(agent.mean),
        number(agent.std),
        number(agent.std_within_tasks),
        agent.solved_once.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
    ));
    let percentiles: Vec<String> = agent.length_percentiles.iter().map(|value| short(*value)).collect();
    text.push_str(&format!(
        "  length        {} (5, 25, 50, 75, 95 %: {})  correlation with reward {}\n",
        agent.length_unit,
        percentiles.join(", "),
        number(agent.length_correlation)
    ));
    text.push_str(&format!(
        "  tool calls    correlation with reward {}, within tasks {}\n\n",
        number(agent.calls_correlation),
        number(agent.calls_correlation_within)
    ));
    let most = agent.bands.iter().map(|band| band.tasks).max().unwrap_or(0).max(1);
    text.push_str("  band       tasks\n");
    for band in &agent.bands {
        let bar = "#".repeat((band.tasks * 40).div_ceil(most) as usize);
        text.push_str(format!("  {:<9} {:>6}  {bar}", band.band.name(), band.tasks).trim_end());
        text.push('\n');
    }
    if agent.tools.is_empty() {
        text.push('\n');
        return;
    }
    text.push_str("\n  calls      rollouts  mean reward\n");
    for group in &agent.by_calls {
        let name = if group.from == group.to { group.from.to_string() } else { format!("{}-{}", group.from, group.to) };
        text.push_str(&format!("  {name:<9} {:>9}  {:>11.3}\n", group.rollouts, group.mean_reward));
    }
    let width = agent.tools.iter().map(|tool| tool.tool.chars().count()).max().unwrap_or(0).clamp(4, 40);
    text.push_str(&format!("\n  {:<width$}     calls  rollouts  reward with  without  correlation\n", "tool"));
    for tool in agent.tools.iter().take(20) {
        let name: String = tool.tool.chars().filter(|character| !character.is_control()).take(width).collect();
        text.push_str(&format!(
            "  {name:<width$}  {:>8}  {:>8}  {:>11}  {:>7}  {:>11}\n",
            tool.calls,
            tool.rollouts,
            number(tool.reward_with),
            number(tool.reward_without),
            number(tool.correlation)
        ));
    }
    text.push('\n');
}

/// One line for each task.
pub fn csv(profile: &Profile) -> String {
    let mut text =
        String::from("agent,task,rollouts,masked,mean,std,min,max,full,zero,band,calls,output_tokens,characters\n");
    let optional = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for task in &profile.tasks {
        let fields = [
            quoted(&task.agent),
            task.task.to_string(),
            task.rollouts.to_string(),
            task.masked.to_string(),
            optional(task.mean),
            optional(task.std),
            optional(task.min),
            optional(task.max),
            task.full.to_string(),
            task.zero.to_string(),
            task.band.map_or_else(String::new, |band| band.name().to_owned()),
            task.calls.to_string(),
            optional(task.tokens),
            task.characters.to_string(),
        ];
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

/// A field of a CSV file. A name that a spreadsheet would take for a formula is marked as text.
fn quoted(field: &str) -> String {
    let field = if field.starts_with(['=', '+', '-', '@']) { format!("'{field}") } else { field.to_owned() };
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::sample;

    #[test]
    fn a_table_and_csv_have_every_task() {
        let profile = sample();
        let csv = csv(&profile);
        assert_eq!(csv.lines().nth(1), Some("<b>,7,1,1,,,,,0,0,,20,,200"));
        assert_eq!(csv.lines().nth(3), Some("a,1,4,0,0,0,0,0,0,4,unsolved,2,10,20"));
        let table = table(&profile, 2);
        assert!(table.contains("a: 2 tasks, 8 rollouts\n"), "{table}");
        assert!(table.contains("widest spread of rewards (2 of 3)"), "{table}");
        assert_eq!(quoted("=a,\"b\""), "\"'=a,\"\"b\"\"\"");
    }
}
