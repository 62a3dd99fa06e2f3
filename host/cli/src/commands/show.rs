// SPDX-License-Identifier: Apache-2.0
//! `gym-host show`: rollouts in the terminal.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use gym_viewer::{
    FileError, Index, IndexError, Unreadable,
    terminal::{self, Choice, Style},
};

use crate::{
    args::{ColourChoice, ShowArgs},
    failure::{CommandResult, Failure, WITH_FAULTS, chain, of_file},
};

pub(crate) fn run(arguments: &ShowArgs) -> CommandResult {
    let index = Index::open(std::slice::from_ref(&arguments.file)).map_err(|error| unreadable(&error))?;
    index.read().map_err(|error| unreadable(&error))?;
    if index.with(|table| table.rows().is_empty()) {
        return Err(empty(&arguments.file));
    }
    let choice = Choice {
        filter: arguments.filter.join(" "),
        sort: arguments.sort.clone(),
        tasks: arguments.task.clone(),
        rollout: arguments.rollout,
        limit: arguments.limit,
    };
    let chosen = index
        .with(|table| terminal::choose(table, &choice))
        .map_err(|error| Failure::user(error.to_string()).with_hint("`gym-host show --help` explains filters"))?;
    let style = style(arguments.color);
    let mut out = BufWriter::new(io::stdout().lock());
    let written = write(&mut out, &index, &chosen.rows, arguments, style).and_then(|()| out.flush());
    match written {
        Ok(()) => {}
        // Who reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        Err(error) => return Err(Failure::infrastructure(format!("failed to show the rollouts: {error}"))),
    }
    let total = index.with(|table| table.rows().len());
    let shown =
        if chosen.rows.len() < chosen.matched { format!(", {} shown", chosen.rows.len()) } else { String::new() };
    let mean = chosen.mean.map(|mean| format!("; mean reward of {}: {mean:.4}", chosen.scored)).unwrap_or_default();
    eprintln!("{} of {total} rollouts{shown}{mean}", chosen.matched);
    if let Some(unreadable) = index.unreadable() {
        print_unreadable(&unreadable);
        return Ok(ExitCode::from(WITH_FAULTS));
    }
    Ok(ExitCode::SUCCESS)
}

fn write(out: &mut impl Write, index: &Index, rows: &[u32], arguments: &ShowArgs, style: Style) -> io::Result<()> {
    if arguments.json {
        return rows.iter().try_for_each(|row| {
            let Some(row) = index.with(|table| table.rows().get(*row as usize).cloned()) else { return Ok(()) };
            out.write_all(&index.text(&row)?)?;
            out.write_all(b"\n")
        });
    }
    if arguments.full || !arguments.task.is_empty() {
        return rows.iter().try_for_each(|row| terminal::conversation(out, index, *row, style));
    }
    terminal::list(out, index, rows, style)
}

/// Colours and width are for terminals; a file or a pager gets plain text of any width.
fn style(choice: ColourChoice) -> Style {
    let terminal = io::stdout().is_terminal();
    let wanted = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let colour = match choice {
        ColourChoice::Auto => wanted,
        ColourChoice::Always => true,
        ColourChoice::Never => false,
    };
    let width = terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| usize::from(width.0));
    Style { colour, width }
}

/// Names the lines that cannot be shown.
pub(crate) fn print_unreadable(unreadable: &Unreadable) {
    let Unreadable { path, line, count, .. } = unreadable;
    let lines = if *count == 1 { "line is not a JSON object" } else { "lines are not JSON objects" };
    eprintln!("error: {count} {lines}, the first at {}:{line}", path.display());
    eprintln!("hint: mend or remove them; the filter `is:unreadable` shows them");
}

/// A file without rollouts.
pub(crate) fn empty(path: &Path) -> Failure {
    Failure::user(format!("{} has no rollouts", path.display()))
        .with_hint("`gym-host eval` and `gym-host collect` write files of rollouts")
}

/// A file that cannot be looked at.
pub(crate) fn unreadable(error: &IndexError) -> Failure {
    let (IndexError::File(FileError { source, .. }) | IndexError::Read { source, .. }) = error;
    let failure = of_file(chain(error), source);
    match failure.hint {
        Some(_) => failure,
        None => failure.with_hint("`gym-host eval` and `gym-host collect` write files of rollouts"),
    }
}
