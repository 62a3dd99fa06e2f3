// SPDX-License-Identifier: Apache-2.0
//! The 27 tools: their names, parameters, and the table that each works on.

use gym_env::{pattern::Pattern, python::Value};

use crate::{
    office::Book,
    patterns::occurs,
    raise::{Raise, Reply, compare, raise, scalar},
    signature::{Default, Parameter, bind},
    table::{Row, Table, is_missing},
};

mod analytics;
mod calendar;
mod customers;
mod directory;
mod email;
mod projects;

/// A function that the model may call.
#[derive(Debug)]
pub(crate) struct Tool {
    /// What the model writes.
    pub(crate) name: &'static str,
    /// The function's name in messages of errors.
    function: &'static str,
    /// The table that it works on.
    pub(crate) book: Book,
    /// Its parameters, in order.
    pub(crate) parameters: &'static [Parameter],
    run: fn(&mut Table, &[Value]) -> Reply,
}

impl Tool {
    /// The tool of this name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        TOOLS.iter().find(|tool| tool.name == name)
    }

    /// Calls the tool.
    pub(crate) fn call(&self, table: &mut Table, arguments: Vec<(String, Value)>) -> Reply {
        (self.run)(table, &bind(self.function, self.parameters, arguments)?)
    }
}

/// A parameter without a value of its own.
const fn plain(name: &'static str) -> Parameter {
    (name, Default::None)
}

const QUERY: Parameter = ("query", Default::Empty);
const PAGE: Parameter = ("page", Default::Number(1));
const PAGE_SIZE: Parameter = ("page_size", Default::Number(5));

macro_rules! tools {
    ($($class:literal, $prefix:literal: { $($function:ident on $book:ident in $module:ident ($($parameter:expr),*);)+ })+) => {
        /// All tools.
        pub(crate) static TOOLS: &[Tool] = &[$($(Tool {
            name: concat!($prefix, "_", stringify!($function)),
            function: concat!($class, ".", stringify!($function)),
            book: Book::$book,
            parameters: &[$($parameter),*],
            run: $module::$function,
        }),+),+];
    };
}

tools! {
    "CompanyDirectoryTool", "company_directory": {
        find_email_address on Directory in directory (("name", Default::Empty));
    }
    "EmailTool", "email": {
        get_email_information_by_id on Emails in email (plain("email_id"), plain("field"));
        search_emails on Emails in email (QUERY, plain("date_min"), plain("date_max"), PAGE, PAGE_SIZE);
        send_email on Emails in email (plain("recipient"), plain("subject"), plain("body"));
        delete_email on Emails in email (plain("email_id"));
        forward_email on Emails in email (plain("email_id"), plain("recipient"));
        reply_email on Emails in email (plain("email_id"), plain("body"));
    }
    "CalendarTool", "calendar": {
        get_event_information_by_id on Calendar in calendar (plain("event_id"), plain("field"));
        search_events on Calendar in calendar (QUERY, plain("time_min"), plain("time_max"), PAGE, PAGE_SIZE);
        create_event on Calendar in calendar (
            plain("event_name"), plain("participant_email"), plain("event_start"), plain("duration")
        );
        delete_event on Calendar in calendar (plain("event_id"));
        update_event on Calendar in calendar (plain("event_id"), plain("field"), plain("new_value"));
    }
    "AnalyticsTool", "analytics": {
        get_visitor_information_by_id on Visits in analytics (plain("visitor_id"));
        create_plot on Plots in analytics (
            plain("time_min"), plain("time_max"), plain("value_to_plot"), plain("plot_type")
        );
        total_visits_count on Visits in analytics (plain("time_min"), plain("time_max"));
        engaged_users_count on Visits in analytics (plain("time_min"), plain("time_max"));
        traffic_source_count on Visits in analytics (plain("time_min"), plain("time_max"), plain("traffic_source"));
        get_average_session_duration on Visits in analytics (plain("time_min"), plain("time_max"));
    }
    "ProjectManagementTool", "project_management": {
        get_task_information_by_id on Tasks in projects (plain("task_id"), plain("field"));
        search_tasks on Tasks in projects (
            plain("task_name"), plain("assigned_to_email"), plain("list_name"), plain("due_date"), plain("board")
        );
        create_task on Tasks in projects (
            plain("task_name"), plain("assigned_to_email"), plain("list_name"), plain("due_date"), plain("board")
        );
        delete_task on Tasks in projects (plain("task_id"));
        update_task on Tasks in projects (plain("task_id"), plain("field"), plain("new_value"));
    }
    "CustomerRelationshipManagerTool", "customer_relationship_manager": {
        search_customers on Customers in customers (
            plain("customer_name"), plain("customer_email"), plain("product_interest"), plain("status"),
            plain("assigned_to_email"), plain("last_contact_date_min"), plain("last_contact_date_max"),
            plain("follow_up_by_min"), plain("follow_up_by_max"), PAGE, PAGE_SIZE
        );
        update_customer on Customers in customers (plain("customer_id"), plain("field"), plain("new_value"));
        add_customer on Customers in customers (
            plain("customer_name"), plain("assigned_to_email"), plain("status"), plain("customer_email"),
            plain("customer_phone"), plain("last_contact_date"), plain("product_interest"), ("notes", Default::Empty),
            plain("follow_up_by")
        );
        delete_customer on Customers in customers (plain("customer_id"));
    }
}

/// A tool got another number of values than it has parameters.
fn unbound() -> Reply {
    raise("the values do not fit the parameters")
}

/// The rows in whose column a pattern occurs. Fails when a cell is no text.
fn containing<'a>(rows: Vec<&'a Row>, column: usize, pattern: &Pattern) -> Result<Vec<&'a Row>, Raise> {
    let mut found = Vec::new();
    for row in rows {
        match occurs(pattern, &row.cells[column])? {
            Some(true) => found.push(row),
            Some(false) => {}
            None => return raise("Cannot mask with non-boolean array containing NA / NaN values"),
        }
    }
    Ok(found)
}

/// The rows whose column is on the right side of a bound, if there is one. What is missing is on neither side.
fn bounded<'a>(rows: Vec<&'a Row>, column: usize, bound: &Value, operator: &str) -> Result<Vec<&'a Row>, Raise> {
    if !bound.is_truthy() {
        return Ok(rows);
    }
    let bound = scalar(bound, rows.len())?;
    let mut kept = Vec::new();
    for row in rows.into_iter().filter(|row| !is_missing(&row.cells[column])) {
        let side = compare(&row.cells[column], bound, operator)?;
        if if operator == ">=" { side.is_ge() } else { side.is_le() } {
            kept.push(row);
        }
    }
    Ok(kept)
}

/// Sets a column of the rows that have this id. A list is spread over the rows and must be as long.
fn set(table: &mut Table, id_column: &str, id: &Value, column: &str, value: &Value) -> Result<(), Raise> {
    let id_column = table.column(id_column);
    let column = table.column(column);
    let rows = table.rows().iter().filter(|row| row.cells[id_column] == *id).count();
    let values: Vec<Value> = match value {
        Value::List(items) if items.len() == rows => items.clone(),
        Value::List(items) if items.len() == 1 => vec![items[0].clone(); rows],
        Value::List(_) => return raise("setting an array element with a sequence."),
        // A dict is taken for labelled values, and none of the labels is one of a row.
        Value::Dict(_) => vec![Value::Float(f64::NAN); rows],
        _ => vec![value.clone(); rows],
    };
    let changed = table.rows_mut().iter_mut().filter(|row| row.cells[id_column] == *id);
    for (row, value) in changed.zip(values) {
        row.cells[column] = value;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_27_tools_with_names_of_their_own() {
        let mut names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 27);
        assert!(Tool::find("customer_relationship_manager_add_customer").is_some());
        assert!(Tool::find("nope").is_none());
    }
}
