// SPDX-License-Identifier: Apache-2.0
//! All tables of the company. A table is read when a tool first needs it.

use gym_env::{Context, Fault, python::Value};

use crate::{
    raise::{Reply, raise},
    table::Table,
    tools::Tool,
};

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Book {
    /// The addresses of the company.
    Directory,
    /// The mailbox.
    Emails,
    /// Events.
    Calendar,
    /// Visits to the company's site.
    Visits,
    /// Plots that were made in the session.
    Plots,
    /// Tasks of projects.
    Tasks,
    /// Customers.
    Customers,
}

const BOOKS: usize = 7;

/// The tables that are compared.
const COMPARED: [Book; 5] = [Book::Calendar, Book::Emails, Book::Plots, Book::Tasks, Book::Customers];

impl Book {
    /// The file, and the columns that it must have. The directory's file has no line of names.
    fn source(self) -> (Option<&'static str>, &'static [&'static str]) {
        match self {
            Self::Directory => (Some("csv_data/raw/email_addresses.csv"), &["email_address"]),
            Self::Emails => (
                Some("csv_data/processed/emails.csv"),
                &["email_id", "inbox/outbox", "sender/recipient", "subject", "sent_datetime", "body"],
            ),
            Self::Calendar => (
                Some("csv_data/processed/calendar_events.csv"),
                &["event_id", "event_name", "participant_email", "event_start", "duration"],
            ),
            Self::Visits => (
                Some("csv_data/processed/analytics_data.csv"),
                &[
                    "date_of_visit",
                    "visitor_id",
                    "page_views",
                    "session_duration_seconds",
                    "traffic_source",
                    "user_engaged",
                ],
            ),
            Self::Plots => (None, &["file_path"]),
            Self::Tasks => (
                Some("csv_data/processed/project_tasks.csv"),
                &["task_id", "task_name", "assigned_to_email", "list_name", "due_date", "board"],
            ),
            Self::Customers => (
                Some("csv_data/processed/customer_relationship_manager_data.csv"),
                &[
                    "customer_id",
                    "customer_name",
                    "assigned_to_email",
                    "customer_email",
                    "customer_phone",
                    "last_contact_date",
                    "product_interest",
                    "status",
                    "notes",
                    "follow_up_by",
                ],
            ),
        }
    }

    /// Reads the table. A fault when its file is not as it should be.
    fn read(self, cx: &mut Context) -> Result<Table, Fault> {
        let (path, columns) = self.source();
        let Some(path) = path else { return Ok(Table::empty(columns)) };
        let text = cx.read_text(path)?;
        let names = (self == Self::Directory).then_some(columns);
        let mut table = Table::from_csv(&text, names)
            .map_err(|reason| Fault::new(format!("the table `{path}` is unreadable: {reason}")))?;
        if let Some(column) = columns.iter().find(|column| table.find_column(column).is_none()) {
            return Err(Fault::new(format!("the table `{path}` has no column `{column}`")));
        }
        if self == Self::Visits {
            let column = table.column("user_engaged");
            for row in table.rows_mut() {
                row.cells[column] = Value::Bool(row.cells[column].as_text() == Some("True"));
            }
        }
        Ok(table)
    }
}

/// The tables as the files have them.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    books: [Option<Table>; BOOKS],
}

impl Archive {
    fn table(&mut self, book: Book, cx: &mut Context) -> Result<&Table, Fault> {
        let place = &mut self.books[book as usize];
        Ok(match place {
            Some(table) => table,
            None => place.insert(book.read(cx)?),
        })
    }
}

/// The tables as somebody works on them: private copies.
#[derive(Debug, Default)]
pub(crate) struct Office {
    books: [Option<Table>; BOOKS],
}

impl Office {
    /// Calls a tool. The fault is of the tables; what the tool raises is inside.
    pub(crate) fn call(
        &mut self,
        name: &str,
        arguments: Vec<(String, Value)>,
        archive: &mut Archive,
        cx: &mut Context,
    ) -> Result<Reply, Fault> {
        let Some(tool) = Tool::find(name) else { return Ok(raise(gym_env::python::repr_str(name))) };
        let place = &mut self.books[tool.book as usize];
        let table = match place {
            Some(table) => table,
            None => place.insert(archive.table(tool.book, cx)?.clone()),
        };
        Ok(tool.call(table, arguments))
    }

    /// Whether all tables that count are the same as in another office.
    pub(crate) fn is_same(&self, other: &Self, archive: &mut Archive, cx: &mut Context) -> Result<bool, Fault> {
        for book in COMPARED {
            // What nobody has opened is as the file has it.
            let is_same = match (&self.books[book as usize], &other.books[book as usize]) {
                (None, None) => true,
                (Some(left), Some(right)) => left.is_same(right),
                (Some(opened), None) | (None, Some(opened)) => opened.is_same(archive.table(book, cx)?),
            };
            if !is_same {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
