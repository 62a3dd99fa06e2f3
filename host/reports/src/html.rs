// SPDX-License-Identifier: Apache-2.0
//! A profile as one HTML page that needs nothing else: no network, no script.

use crate::{
    plot::{Bar, bars, escaped},
    profile::{AgentProfile, Profile},
    text::{number, short},
};

/// More tasks than these are left to the CSV file.
const MAX_TASKS: usize = 2000;

const STYLE: &str = "
:root { color-scheme: light dark; --fg: #1a1c20; --soft: #5b616b; --bg: #ffffff; --line: #d9dce1; --bar: #2f6fb0; --card: #f6f7f9 }
@media (prefers-color-scheme: dark) { :root { --fg: #e6e8eb; --soft: #a3a9b3; --bg: #16181c; --line: #363a42; --bar: #6ea8e0; --card: #1e2126 } }
* { box-sizing: border-box } body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; font: 16px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg) }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere } h2 { overflow-wrap: anywhere; font-size: 1.2rem; margin: 2rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1rem } p { overflow-wrap: anywhere; margin: .25rem 0; color: var(--soft) }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; margin: 1rem 0 } .figures div { background: var(--card); border-radius: .5rem; padding: .6rem .8rem } .figures b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums } .figures span { color: var(--soft); font-size: .85rem }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1rem } figure { margin: 0; background: var(--card); border-radius: .5rem; padding: .75rem } figcaption { font-weight: 600; margin-bottom: .25rem } svg { width: 100%; height: auto; display: block }
.bar { fill: var(--bar) } .grid { stroke: var(--line) } text { fill: var(--soft); font: 11px system-ui, sans-serif } .axis { font-size: 12px }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem } th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap } th { color: var(--soft); font-weight: 600 } .text { text-align: left } .tasks td:last-child, .tools td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 9rem }
";

/// Columns of the tables, and whether they are texts.
const TASK_COLUMNS: [(&str, bool); 13] = [
    ("task", false),
    ("rollouts", false),
    ("mean", false),
    ("std", false),
    ("min", false),
    ("max", false),
    ("full", false),
    ("zero", false),
    ("band", true),
    ("calls", false),
    ("tokens", false),
    ("characters", false),
    ("agent", true),
];
const TOOL_COLUMNS: [(&str, bool); 6] = [
    ("tool", true),
    ("calls", false),
    ("rollouts", false),
    ("mean reward with", false),
    ("without", false),
    ("correlation", false),
];

/// On a phone a table would run off the page: there each row is a card, in which every value has its column's name above
/// it. `whole` is the column that takes a line of its own.
fn cards(class: &str, columns: &[(&str, bool)], whole: usize) -> String {
    let mut style = format!(
        "@media (max-width: 44rem) {{ .{class}, .{class} tbody {{ display: block }} .{class} tr:first-child {{ display: none }} \
         .{class} tr {{ display: grid; grid-template-columns: repeat(4, 1fr); gap: .25rem .5rem; padding: .5rem 0; \
         border-bottom: 1px solid var(--line) }} .{class} td {{ border: 0; padding: 0; text-align: left; white-space: normal; \
         overflow-wrap: anywhere; line-height: 1.3 }} .{class} td::before {{ display: block; color: var(--soft); \
         font-size: .75rem }} .{class} td:nth-child({}) {{ grid-column: 1 / -1 }}",
        whole + 1
    );
    for (index, (name, _)) in columns.iter().enumerate() {
        style.push_str(&format!(" .{class} td:nth-child({})::before {{ content: \"{name}\" }}", index + 1));
    }
    style.push_str(" }\n");
    style
}

/// The beginning of a table: its names.
fn table(class: &str, columns: &[(&str, bool)], page: &mut String) {
    page.push_str(&format!("<div class=\"scroll\"><table class=\"{class}\"><tr>"));
    for (name, is_text) in columns {
        page.push_str(if *is_text { "<th class=\"text\">" } else { "<th>" });
        page.push_str(name);
    }
}

/// The page. `source` says what the rollouts are from, for example the name of their file.
pub fn html(profile: &Profile, source: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Reward profile of {0}</title><style>{STYLE}{4}{5}</style></head><body><h1>Reward profile</h1><p>{0}: {1} rows{2}{3}</p>",
        escaped(source),
        profile.rows,
        note(profile.twice, "passed over because their rollout was there already"),
        note(profile.without_key, "passed over because they name no task and have no prompt")
            + &note(profile.by_prompt, "without `_ng_task_index`: those with the same prompt are one task"),
        cards("tasks", &TASK_COLUMNS, 12),
        cards("tools", &TOOL_COLUMNS, 0),
    );
    for agent in &profile.agents {
        section(agent, profile, &mut page);
    }
    tasks(profile, &mut page);
    page.push_str("</body></html>\n");
    page
}

fn note(count: u64, text: &str) -> String {
    if count == 0 { String::new() } else { format!(", {count} of them {text}") }
}

fn section(agent: &AgentProfile, profile: &Profile, page: &mut String) {
    page.push_str(&format!("<h2>{}</h2><div class=\"figures\">", escaped(&agent.agent)));
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    for (name, value) in [
        ("tasks", agent.tasks.to_string()),
        ("rollouts", agent.rollouts.to_string()),
        ("no measurements", agent.masked.to_string()),
        ("mean reward", number(agent.mean)),
        ("standard deviation", number(agent.std)),
        ("deviation within tasks", number(agent.std_within_tasks)),
        ("solved at least once", agent.solved_once.map_or_else(|| "-".to_owned(), percent)),
        ("calls and reward, correlation", number(agent.calls_correlation)),
        ("the same within tasks", number(agent.calls_correlation_within)),
        ("length and reward, correlation", number(agent.length_correlation)),
    ] {
        page.push_str(&format!("<div><b>{}</b><span>{}</span></div>", escaped(&value), escaped(name)));
    }
    page.push_str("</div><div class=\"plots\">");
    plots(agent, profile, page);
    page.push_str("</div>");
    if !agent.tools.is_empty() {
        page.push_str("<h3>Tools</h3>");
        table("tools", &TOOL_COLUMNS, page);
        for tool in agent.tools.iter().take(200) {
            page.push_str(&format!(
                "<tr><td class=\"text\">{}<td>{}<td>{}<td>{}<td>{}<td>{}",
                escaped(&tool.tool),
                tool.calls,
                tool.rollouts,
                number(tool.reward_with),
                number(tool.reward_without),
                number(tool.correlation)
            ));
        }
        page.push_str("</table></div>");
    }
}

fn plots(agent: &AgentProfile, profile: &Profile, page: &mut String) {
    let histogram = |groups: &[(f64, u64)], what: &str| -> Vec<Bar> {
        groups
            .iter()
            .enumerate()
            .map(|(index, (from, count))| Bar {
                label: if index % 4 == 0 { format!("{from:.2}") } else { String::new() },
                value: *count as f64,
                tip: format!("from {from:.3} on: {count} {what}"),
            })
            .collect()
    };
    let tasks = histogram(&agent.task_histogram, "tasks");
    page.push_str(&bars("Tasks by mean reward", "mean reward of the task", "tasks", &tasks, None));
    let bands: Vec<Bar> = agent
        .bands
        .iter()
        .map(|band| Bar {
            label: format!("{} {}", band.band.name(), band.tasks),
            value: band.tasks as f64,
            tip: format!("{}: {} tasks, {} measured rollouts", band.band.name(), band.tasks, band.rollouts),
        })
        .collect();
    let edges = format!("hard up to a mean of {}, medium up to {}", profile.bands.hard, profile.bands.medium);
    page.push_str(&bars("Tasks by difficulty", &edges, "tasks", &bands, None));
    let rewards = histogram(&agent.reward_histogram, "rollouts");
    page.push_str(&bars("Rollouts by reward", "reward", "rollouts", &rewards, None));
    let calls: Vec<Bar> = agent
        .by_calls
        .iter()
        .map(|group| {
            let label =
                if group.from == group.to { group.from.to_string() } else { format!("{}-{}", group.from, group.to) };
            let tip = format!("{label} calls: mean reward {:.3} of {} rollouts", group.mean_reward, group.rollouts);
            Bar { label, value: group.mean_reward, tip }
        })
        .collect();
    page.push_str(&bars("Reward by tool calls", "tool calls", "mean reward", &calls, Some(1.0)));
    let unit = agent.length_unit.replace('_', " ");
    let lengths: Vec<Bar> = agent
        .by_length
        .iter()
        .map(|group| Bar {
            label: short(group.to),
            value: group.mean_reward,
            tip: format!(
                "{} to {} {unit}: mean reward {:.3} of {} rollouts",
                short(group.from),
                short(group.to),
                group.mean_reward,
                group.rollouts
            ),
        })
        .collect();
    let x = format!("{unit} up to, in groups of the same size");
    page.push_str(&bars("Reward by response length", &x, "mean reward", &lengths, Some(1.0)));
    let by_band: Vec<Bar> = agent
        .bands
        .iter()
        .map(|band| Bar {
            label: band.band.name().to_owned(),
            value: band.median_length.unwrap_or_default(),
            tip: format!("{}: median {}", band.band.name(), number(band.median_length)),
        })
        .collect();
    page.push_str(&bars("Response length by difficulty", "difficulty", &format!("median {unit}"), &by_band, None));
}

fn tasks(profile: &Profile, page: &mut String) {
    page.push_str("<h2>Tasks</h2>");
    if profile.tasks.len() > MAX_TASKS {
        page.push_str(&format!("<p>The first {MAX_TASKS} of {}.</p>", profile.tasks.len()));
    }
    table("tasks", &TASK_COLUMNS, page);
    for task in profile.tasks.iter().take(MAX_TASKS) {
        page.push_str(&format!(
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td class=\"text\">{}<td>{:.1}<td>{}<td>{:.0}<td class=\"text\">{}",
            task.task,
            task.rollouts,
            number(task.mean),
            number(task.std),
            number(task.min),
            number(task.max),
            task.full,
            task.zero,
            task.band.map_or("-", |band| band.name()),
            task.calls,
            task.tokens.map_or_else(|| "-".to_owned(), |tokens| format!("{tokens:.0}")),
            task.characters,
            escaped(&task.agent)
        ));
    }
    page.push_str("</table></div>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::sample;

    #[test]
    fn the_page_stands_alone_and_escapes_what_it_shows() {
        let page = html(&sample(), "runs/<i>.jsonl");
        assert!(page.contains("&lt;b&gt;") && !page.contains("<b>,") && !page.contains("<i>"));
        for outside in ["http:", "https:", "<script", "src=", "@import", "NaN", "inf"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert_eq!(page.matches("<svg").count(), 18, "six plots for each agent and for all together");
        assert!(page.contains("prefers-color-scheme: dark"));
    }
}
