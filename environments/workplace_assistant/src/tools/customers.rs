// SPDX-License-Identifier: Apache-2.0
//! Customers.

use gym_env::python::Value;
use serde_json::{Value as Json, json};

use crate::{
    ids,
    paging::page_or,
    patterns::compile,
    raise::{Reply, hashable, lower},
    table::{Row, Table},
};

const NOT_FOUND: &str = "Customer not found.";
const STATUSES: [&str; 5] = ["Qualified", "Won", "Lost", "Lead", "Proposal"];
const PRODUCTS: [&str; 5] = ["Software", "Hardware", "Services", "Consulting", "Training"];
const FIELDS: [&str; 9] = [
    "customer_name",
    "assigned_to_email",
    "customer_email",
    "customer_phone",
    "last_contact_date",
    "product_interest",
    "status",
    "notes",
    "follow_up_by",
];

pub(super) fn search_customers(customers: &mut Table, arguments: &[Value]) -> Reply {
    let [name, email, product, status, assignee, contact_min, contact_max, follow_min, follow_max, number, size] =
        arguments
    else {
        return super::unbound();
    };
    if !arguments[..9].iter().any(Value::is_truthy) {
        return Ok(json!("No search parameters provided. Please provide at least one parameter."));
    }
    let mut found: Vec<&Row> = customers.rows().iter().collect();
    for (value, column) in [
        (name, "customer_name"),
        (email, "customer_email"),
        (product, "product_interest"),
        (status, "status"),
        (assignee, "assigned_to_email"),
    ] {
        if value.is_truthy() {
            found = super::containing(found, customers.column(column), &compile(value)?)?;
        }
    }
    for (bound, column, operator) in [
        (contact_min, "last_contact_date", ">="),
        (contact_max, "last_contact_date", "<="),
        (follow_min, "follow_up_by", ">="),
        (follow_max, "follow_up_by", "<="),
    ] {
        found = super::bounded(found, customers.column(column), bound, operator)?;
    }
    let records: Vec<Json> = found.into_iter().map(|row| customers.record(row)).collect();
    page_or("customers", records, number, size, "No customers found.")
}

/// What is said of a value that is not among these.
fn not_among(what: &str, words: &[&str]) -> Reply {
    Ok(json!(format!("{what} not valid. Please choose from: '{}'", words.join("', '"))))
}

pub(super) fn update_customer(customers: &mut Table, arguments: &[Value]) -> Reply {
    let [customer_id, field, new_value] = arguments else { return super::unbound() };
    if !customer_id.is_truthy() || !field.is_truthy() || !new_value.is_truthy() {
        return Ok(json!("Customer ID, field, or new value not provided."));
    }
    let is_one_of = |words: &[&str]| new_value.as_text().is_some_and(|text| words.contains(&text));
    let new_value = match field.as_text() {
        Some("status") if !is_one_of(&STATUSES) => return not_among("Status", &STATUSES),
        Some("product_interest") if !is_one_of(&PRODUCTS) => return not_among("Product interest", &PRODUCTS),
        Some("customer_email" | "assigned_to_email") => Value::Text(lower(new_value)?),
        _ => new_value.clone(),
    };
    if customers.find("customer_id", customer_id).is_none() {
        return Ok(json!(NOT_FOUND));
    }
    match hashable(field)?.as_text().filter(|name| customers.find_column(name).is_some()) {
        Some(name) => {
            super::set(customers, "customer_id", customer_id, name, &new_value)?;
            Ok(json!("Customer updated successfully."))
        }
        None => not_among("Field", &FIELDS),
    }
}

pub(super) fn add_customer(customers: &mut Table, arguments: &[Value]) -> Reply {
    let [name, assignee, status, email, phone, last_contact_date, product, notes, follow_up_by] = arguments else {
        return super::unbound();
    };
    if ![name, assignee, status].iter().all(|value| value.is_truthy()) {
        return Ok(json!("Please provide all required fields: customer_name, assigned_to_email, status."));
    }
    let assignee = Value::Text(lower(assignee)?);
    let email = if email.is_truthy() { Value::Text(lower(email)?) } else { email.clone() };
    let customer_id = ids::next_padded(customers, "customer_id")?;
    customers.push_and_renumber(&[
        ("customer_id", Value::Text(customer_id.clone())),
        ("customer_name", name.clone()),
        ("customer_email", email),
        ("customer_phone", phone.clone()),
        ("last_contact_date", last_contact_date.clone()),
        ("product_interest", product.clone()),
        ("status", status.clone()),
        ("assigned_to_email", assignee),
        ("notes", notes.clone()),
        ("follow_up_by", follow_up_by.clone()),
    ]);
    Ok(json!(customer_id))
}

pub(super) fn delete_customer(customers: &mut Table, arguments: &[Value]) -> Reply {
    let [customer_id] = arguments else { return super::unbound() };
    if !customer_id.is_truthy() {
        return Ok(json!("Customer ID not provided."));
    }
    if customers.find("customer_id", customer_id).is_none() {
        return Ok(json!(NOT_FOUND));
    }
    customers.delete("customer_id", customer_id);
    Ok(json!("Customer deleted successfully."))
}
