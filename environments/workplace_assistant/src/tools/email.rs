// SPDX-License-Identifier: Apache-2.0
//! The mailbox.

use gym_env::{python::Value, text::words};
use serde_json::{Value as Json, json};

use crate::{
    clock::{NOW, Stamp},
    ids,
    paging::page_or,
    raise::{Raise, Reply, hashable, holds, lower, scalar},
    sorting::places_descending,
    table::{Row, Table, json as to_json},
};

const NOT_FOUND: &str = "Email not found.";
const INVALID_RECIPIENT: &str = "Invalid recipient email address.";

/// A failure inside of a tool is told, not raised.
fn told(result: Reply, doing: &str) -> Reply {
    result.or_else(|Raise(text)| Ok(json!(format!("Error {doing}: {text}"))))
}

pub(super) fn get_email_information_by_id(emails: &mut Table, arguments: &[Value]) -> Reply {
    let [email_id, field] = arguments else { return super::unbound() };
    if !email_id.is_truthy() {
        return Ok(json!("Email ID not provided."));
    }
    if !field.is_truthy() {
        return Ok(json!("Field not provided."));
    }
    told(information(emails, email_id, field), "retrieving email information")
}

fn information(emails: &Table, email_id: &Value, field: &Value) -> Reply {
    let Some(row) = emails.find("email_id", scalar(email_id, emails.rows().len())?) else {
        return Ok(json!(NOT_FOUND));
    };
    match hashable(field)?.as_text().and_then(|name| Some((name, emails.find_column(name)?))) {
        Some((name, column)) => Ok(json!({ name: to_json(&row.cells[column]) })),
        None => {
            let names = emails.columns().join(", ");
            Ok(json!(format!("Field '{}' not found. Available fields: {names}", field.str())))
        }
    }
}

pub(super) fn search_emails(emails: &mut Table, arguments: &[Value]) -> Reply {
    told(search(emails, arguments), "searching emails")
}

fn search(emails: &Table, arguments: &[Value]) -> Reply {
    let [query, date_min, date_max, number, size] = arguments else { return super::unbound() };
    let query = lower(query)?;
    let words: Vec<&str> = words(&query).collect();
    let searched = ["subject", "body", "sender/recipient"].map(|name| emails.column(name));
    let sent = emails.column("sent_datetime");
    let mut found: Vec<(Stamp, &Row)> = Vec::new();
    for row in emails.rows() {
        let [subject, body, address] = searched.map(|column| row.cells[column].str());
        let text = format!("{subject} {body} {address}").to_lowercase();
        if words.iter().all(|word| text.contains(word)) {
            found.push((Stamp::of(&row.cells[sent]).map_err(|not| Raise(not.to_string()))?, row));
        }
    }
    // Newest first.
    let moments: Vec<_> = found.iter().map(|(sent, _)| sent.moment()).collect();
    let mut found: Vec<_> = places_descending(&moments).into_iter().map(|place| found[place]).collect();
    for (bound, is_first) in [(date_min, true), (date_max, false)] {
        if bound.is_truthy() && !found.is_empty() {
            let bound = Stamp::of(bound).map_err(|not| Raise(not.to_string()))?.day()?;
            let day = |sent: &Stamp| sent.day().unwrap_or_default();
            found.retain(|(sent, _)| if is_first { day(sent) >= bound } else { day(sent) <= bound });
        }
    }
    let records = found.into_iter().map(|(_, row)| emails.record(row)).collect();
    page_or("emails", records, number, size, "No emails found.")
}

pub(super) fn send_email(emails: &mut Table, arguments: &[Value]) -> Reply {
    let [recipient, subject, body] = arguments else { return super::unbound() };
    send(emails, recipient, subject, body)
}

/// Whether a mail could go to this recipient.
fn is_address(recipient: &Value) -> Result<bool, Raise> {
    Ok(holds(recipient, "@")? && holds(recipient, ".")?)
}

fn send(emails: &mut Table, recipient: &Value, subject: &Value, body: &Value) -> Reply {
    if ![recipient, subject, body].iter().all(|value| value.is_truthy()) {
        return Ok(json!("Recipient, subject, or body not provided."));
    }
    if !is_address(recipient)? {
        return Ok(json!(INVALID_RECIPIENT));
    }
    let mut append = || -> Reply {
        let recipient = lower(recipient)?;
        // Numbers of new mails have no zeros in front.
        let email_id =
            if emails.rows().is_empty() { "1".to_owned() } else { ids::next(emails, "email_id")?.to_string() };
        emails.push_and_renumber(&[
            ("email_id", Value::Text(email_id)),
            ("inbox/outbox", Value::Text("outbox".to_owned())),
            ("sender/recipient", Value::Text(recipient)),
            ("subject", subject.clone()),
            ("sent_datetime", Value::Text(NOW.to_owned())),
            ("body", body.clone()),
        ]);
        Ok(json!("Email sent successfully."))
    };
    told(append(), "sending email")
}

pub(super) fn delete_email(emails: &mut Table, arguments: &[Value]) -> Reply {
    let [email_id] = arguments else { return super::unbound() };
    if !email_id.is_truthy() {
        return Ok(json!("Email ID not provided."));
    }
    if emails.find("email_id", email_id).is_none() {
        return Ok(json!(NOT_FOUND));
    }
    emails.delete("email_id", email_id);
    Ok(json!("Email deleted successfully."))
}

pub(super) fn forward_email(emails: &mut Table, arguments: &[Value]) -> Reply {
    let [email_id, recipient] = arguments else { return super::unbound() };
    if !email_id.is_truthy() || !recipient.is_truthy() {
        return Ok(json!("Email ID or recipient not provided."));
    }
    if !is_address(recipient)? {
        return Ok(json!(INVALID_RECIPIENT));
    }
    let Some(row) = emails.find("email_id", email_id) else { return Ok(json!(NOT_FOUND)) };
    let subject = Value::Text(format!("FW: {}", row.cells[emails.column("subject")].str()));
    let body = row.cells[emails.column("body")].clone();
    let result = lower(recipient).and_then(|recipient| send(emails, &Value::Text(recipient), &subject, &body));
    told(result.map(|sent| unless_failed(sent, "Email forwarded successfully.")), "forwarding email")
}

pub(super) fn reply_email(emails: &mut Table, arguments: &[Value]) -> Reply {
    let [email_id, body] = arguments else { return super::unbound() };
    if !email_id.is_truthy() || !body.is_truthy() {
        return Ok(json!("Email ID or body not provided."));
    }
    let Some(row) = emails.find("email_id", email_id) else { return Ok(json!(NOT_FOUND)) };
    let recipient = row.cells[emails.column("sender/recipient")].clone();
    let subject = Value::Text(format!("RE: {}", row.cells[emails.column("subject")].str()));
    let result = send(emails, &recipient, &subject, body);
    told(result.map(|sent| unless_failed(sent, "Email replied successfully.")), "replying to email")
}

/// What sending said if that was a failure, else the sentence.
fn unless_failed(sent: Json, done: &str) -> Json {
    let failed = sent.as_str().is_some_and(|text| text.contains("Error") || text.contains("Invalid"));
    if failed { sent } else { json!(done) }
}
