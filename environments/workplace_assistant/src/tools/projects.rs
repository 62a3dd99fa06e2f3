// SPDX-License-Identifier: Apache-2.0
//! Tasks of projects.

use gym_env::{
    pattern::{Case, Pattern},
    python::Value,
};
use serde_json::{Value as Json, json};

use crate::{
    ids,
    patterns::compile,
    raise::{Reply, hashable, lower, raise, scalar},
    table::{Table, json as to_json},
};

const NOT_FOUND: &str = "Task not found.";
const INVALID_ASSIGNEE: &str = "Assignee email not valid. Please choose from the list of team members.";
const LISTS: [&str; 4] = ["Backlog", "In Progress", "In Review", "Completed"];
const INVALID_LIST: &str = "List not valid. Please choose from: 'Backlog', 'In Progress', 'In Review', 'Completed'.";
const BOARDS: [&str; 3] = ["Back end", "Front end", "Design"];
const INVALID_BOARD: &str = "Board not valid. Please choose from: 'Back end', 'Front end', 'Design'.";
const ADDRESS: &str = r"^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$";

fn is_one_of(value: &Value, words: &[&str]) -> bool {
    value.as_text().is_some_and(|text| words.contains(&text))
}

/// Whether somebody of this address, in lower case, has a task.
fn is_member(tasks: &Table, address: &str) -> bool {
    let column = tasks.column("assigned_to_email");
    tasks.rows().iter().any(|row| row.cells[column].as_text().is_some_and(|known| known.to_lowercase() == address))
}

pub(super) fn get_task_information_by_id(tasks: &mut Table, arguments: &[Value]) -> Reply {
    let [task_id, field] = arguments else { return super::unbound() };
    if !task_id.is_truthy() {
        return Ok(json!("Task ID not provided."));
    }
    if !field.is_truthy() {
        return Ok(json!("Field not provided."));
    }
    let Some(row) = tasks.find("task_id", scalar(task_id, tasks.rows().len())?) else { return Ok(json!(NOT_FOUND)) };
    match hashable(field)?.as_text().and_then(|name| Some((name, tasks.find_column(name)?))) {
        Some((name, column)) => Ok(json!({ name: to_json(&row.cells[column]) })),
        None => Ok(json!("Field not found.")),
    }
}

pub(super) fn search_tasks(tasks: &mut Table, arguments: &[Value]) -> Reply {
    let [task_name, assigned_to_email, list_name, due_date, board] = arguments else { return super::unbound() };
    if !arguments.iter().any(Value::is_truthy) {
        return Ok(json!("No search parameters provided."));
    }
    if assigned_to_email.is_truthy() {
        let Some(address) = assigned_to_email.as_text() else {
            let given = assigned_to_email.type_name();
            return raise(format!("expected string or bytes-like object, got '{given}'"));
        };
        let is_address = Pattern::new(ADDRESS, Case::Matters).and_then(|pattern| pattern.is_in(address));
        if !is_address.or_else(|error| raise(error.to_string()))? {
            return Ok(json!("Invalid email format for assigned_to_email."));
        }
    }
    let mut found: Vec<_> = tasks.rows().iter().collect();
    for (value, name) in [
        (task_name, "task_name"),
        (assigned_to_email, "assigned_to_email"),
        (list_name, "list_name"),
        (due_date, "due_date"),
        (board, "board"),
    ] {
        if !value.is_truthy() {
            continue;
        }
        let column = tasks.column(name);
        if name == "assigned_to_email" {
            let address = lower(value)?;
            found.retain(|row| row.cells[column].as_text().is_some_and(|known| known.to_lowercase() == address));
        } else {
            found = super::containing(found, column, &compile(value)?)?;
        }
    }
    Ok(found.into_iter().map(|row| tasks.record(row)).collect::<Vec<Json>>().into())
}

pub(super) fn create_task(tasks: &mut Table, arguments: &[Value]) -> Reply {
    let [task_name, assigned_to_email, list_name, due_date, board] = arguments else { return super::unbound() };
    if !arguments.iter().all(Value::is_truthy) {
        return Ok(json!("Missing task details."));
    }
    let assignee = lower(assigned_to_email)?;
    if !is_member(tasks, &assignee) {
        return Ok(json!(INVALID_ASSIGNEE));
    }
    if !is_one_of(list_name, &LISTS) {
        return Ok(json!(INVALID_LIST));
    }
    if !is_one_of(board, &BOARDS) {
        return Ok(json!(INVALID_BOARD));
    }
    let task_id = ids::next_padded(tasks, "task_id")?;
    tasks.push_and_renumber(&[
        ("task_id", Value::Text(task_id.clone())),
        ("task_name", task_name.clone()),
        ("assigned_to_email", Value::Text(assignee)),
        ("list_name", list_name.clone()),
        ("due_date", due_date.clone()),
        ("board", board.clone()),
    ]);
    Ok(json!(task_id))
}

pub(super) fn delete_task(tasks: &mut Table, arguments: &[Value]) -> Reply {
    let [task_id] = arguments else { return super::unbound() };
    if !task_id.is_truthy() {
        return Ok(json!("Task ID not provided."));
    }
    if tasks.find("task_id", task_id).is_none() {
        return Ok(json!(NOT_FOUND));
    }
    tasks.delete("task_id", task_id);
    Ok(json!("Task deleted successfully."))
}

pub(super) fn update_task(tasks: &mut Table, arguments: &[Value]) -> Reply {
    let [task_id, field, new_value] = arguments else { return super::unbound() };
    if !task_id.is_truthy() || !field.is_truthy() || !new_value.is_truthy() {
        return Ok(json!("Task ID, field, or new value not provided."));
    }
    let mut new_value = new_value.clone();
    match field.as_text() {
        Some("assigned_to_email") => {
            let assignee = lower(&new_value)?;
            if !is_member(tasks, &assignee) {
                return Ok(json!(INVALID_ASSIGNEE));
            }
            new_value = Value::Text(assignee);
        }
        Some("board") if !is_one_of(&new_value, &BOARDS) => return Ok(json!(INVALID_BOARD)),
        Some("list_name") if !is_one_of(&new_value, &LISTS) => return Ok(json!(INVALID_LIST)),
        _ => {}
    }
    if tasks.find("task_id", task_id).is_none() {
        return Ok(json!(NOT_FOUND));
    }
    let name = hashable(field)?.as_text().filter(|name| tasks.find_column(name).is_some());
    let Some(name) = name else { return Ok(json!("Field not valid.")) };
    super::set(tasks, "task_id", task_id, name, &new_value)?;
    Ok(json!("Task updated successfully."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_of_addresses_is_one() {
        let pattern = Pattern::new(ADDRESS, Case::Matters).unwrap();
        for (address, is_one) in
            [("ann@site.example", true), ("ann", false), ("ann@site", false), ("a b@site.example", false)]
        {
            assert_eq!(pattern.is_in(address), Ok(is_one), "{address}");
        }
    }
}
