// SPDX-License-Identifier: Apache-2.0
//! Small tables in place of the files, so that every expectation can be followed by hand.

use gym_env::{Instance, TestContext};
use serde_json::{Value as Json, json};

use super::*;
use crate::tools::TOOLS;

const EMAILS: &str = "\
email_id,inbox/outbox,sender/recipient,subject,sent_datetime,body
00000001,inbox,ann@site.example,Lunch,2023-11-01 09:00:00,Pizza or soup?
00000000,outbox,Bo@site.example,Keys,2023-11-02 10:00:00,At the door
00000002,inbox,ann@site.example,Lunch again,2023-11-03 11:00:00,Soup was good
";
const EVENTS: &str = "\
event_id,event_name,participant_email,event_start,duration
00000000,Review,ann@site.example,2023-12-01 09:00:00,30
00000001,Demo,bo@site.example,2023-12-02 10:00:00,60
";
const VISITS: &str = "\
date_of_visit,visitor_id,page_views,session_duration_seconds,traffic_source,user_engaged
2023-11-01,0007,3,10,direct,True
2023-11-01,0008,1,15,referral,False
2023-11-02,0007,2,4,direct,False
";
const TASKS: &str = "\
task_id,task_name,assigned_to_email,list_name,due_date,board
00000000,Fix login,ann@site.example,Backlog,2023-12-01,Back end
00000001,Draw icons,Bo@site.example,Completed,2023-12-02,Design
";
const CUSTOMERS: &str = "\
customer_id,assigned_to_email,customer_name,customer_email,customer_phone,last_contact_date,product_interest,status,follow_up_by,notes
00000001,ann@site.example,Cleo Ray,cleo@ray.example,,2023-11-20 23:59:00,Software,Lead,2023-12-01 23:59:00,
00000000,bo@site.example,Dan Fox,dan@fox.example,555-0100,2023-11-10 23:59:00,Training,Won,2023-12-05 23:59:00,Calls often.
";

fn context() -> TestContext {
    [
        ("raw/email_addresses", "ann@site.example\nbo@site.example\n"),
        ("processed/emails", EMAILS),
        ("processed/calendar_events", EVENTS),
        ("processed/analytics_data", VISITS),
        ("processed/project_tasks", TASKS),
        ("processed/customer_relationship_manager_data", CUSTOMERS),
    ]
    .into_iter()
    .fold(Context::for_test(), |context, (path, text)| context.file(&format!("csv_data/{path}.csv"), text))
}

fn seeded() -> Instance<Workplace> {
    let mut instance = Instance::new(context().build());
    instance.seed_session("{}").unwrap();
    instance
}

fn output(instance: &mut Instance<Workplace>, name: &str, arguments: &Json) -> Json {
    let reply: Json = serde_json::from_str(&instance.call_tool(name, &arguments.to_string()).unwrap()).unwrap();
    reply["output"].clone()
}

/// What a tool says in a new session.
fn says(name: &str, arguments: Json) -> Json {
    output(&mut seeded(), name, &arguments)
}

fn verify(calls: &[(&str, Json)], ground_truth: &Json) -> f64 {
    let items: Vec<Json> = calls
        .iter()
        .map(|(name, arguments)| {
            let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
            json!({"type": "function_call", "call_id": "c", "name": name, "arguments": arguments})
        })
        .collect();
    let row = json!({
        "id": 1, "category": "email", "environment_name": "office", "ground_truth": ground_truth,
        "response": {"output": items},
    });
    Instance::<Workplace>::new(context().build()).verify(row.to_string()).unwrap().reward()
}

/// The reward of the first calls when the second ones are the ground truth.
fn reward(calls: &[(&str, Json)], right: &[(&str, Json)]) -> f64 {
    let right: Vec<Json> =
        right.iter().map(|(name, arguments)| json!({"name": name, "arguments": arguments.to_string()})).collect();
    verify(calls, &right.into())
}

#[test]
fn tools_answer_with_records_in_the_order_of_the_columns() {
    let lunch = json!({"email_id": "00000001", "inbox/outbox": "inbox", "sender/recipient": "ann@site.example",
        "subject": "Lunch", "sent_datetime": "2023-11-01 09:00:00", "body": "Pizza or soup?"});
    let again = json!({"email_id": "00000002", "inbox/outbox": "inbox", "sender/recipient": "ann@site.example",
        "subject": "Lunch again", "sent_datetime": "2023-11-03 11:00:00", "body": "Soup was good"});
    let review = json!({"event_id": "00000000", "event_name": "Review", "participant_email": "ann@site.example",
        "event_start": "2023-12-01 09:00:00", "duration": "30"});
    let demo = json!({"event_id": "00000001", "event_name": "Demo", "participant_email": "bo@site.example",
        "event_start": "2023-12-02 10:00:00", "duration": "60"});
    let icons = json!({"task_id": "00000001", "task_name": "Draw icons", "assigned_to_email": "Bo@site.example",
        "list_name": "Completed", "due_date": "2023-12-02", "board": "Design"});
    let cleo = json!({"customer_id": "00000001", "assigned_to_email": "ann@site.example", "customer_name": "Cleo Ray",
        "customer_email": "cleo@ray.example", "customer_phone": null, "last_contact_date": "2023-11-20 23:59:00",
        "product_interest": "Software", "status": "Lead", "follow_up_by": "2023-12-01 23:59:00", "notes": null});
    let visit = json!({"date_of_visit": "2023-11-01", "visitor_id": "0008", "page_views": "1",
        "session_duration_seconds": "15", "traffic_source": "referral", "user_engaged": false});
    for (name, arguments, expected) in [
        ("company_directory_find_email_address", json!({"name": "ANN"}), json!(["ann@site.example"])),
        (
            "email_search_emails",
            json!({"query": "soup ANN"}),
            json!({"emails": [again, lunch], "pagination": {"total_emails": 2, "page": 1, "page_size": 5, "total_pages": 1}}),
        ),
        (
            "email_search_emails",
            json!({"query": "soup", "page": 2, "page_size": 1}),
            json!({"emails": [lunch], "pagination": {"total_emails": 2, "page": 2, "page_size": 1, "total_pages": 2}}),
        ),
        (
            "email_search_emails",
            json!({"date_min": "2023-11-03", "date_max": "2023-11-03"}),
            json!({"emails": [again], "pagination": {"total_emails": 1, "page": 1, "page_size": 5, "total_pages": 1}}),
        ),
        (
            "email_get_email_information_by_id",
            json!({"email_id": "00000000", "field": "subject"}),
            json!({"subject": "Keys"}),
        ),
        (
            "calendar_search_events",
            json!({}),
            json!({"events": [demo, review], "pagination": {"total_events": 2, "page": 1, "page_size": 5, "total_pages": 1}}),
        ),
        (
            "calendar_search_events",
            json!({"query": "^rev", "time_min": "2023-12-01 09:00:00", "time_max": "2023-12-01 09:00:00"}),
            json!({"events": [review], "pagination": {"total_events": 1, "page": 1, "page_size": 5, "total_pages": 1}}),
        ),
        ("project_management_search_tasks", json!({"assigned_to_email": "BO@site.example"}), json!([icons])),
        ("project_management_search_tasks", json!({"board": "front"}), json!([])),
        (
            "project_management_get_task_information_by_id",
            json!({"task_id": "00000001", "field": "board"}),
            json!({"board": "Design"}),
        ),
        (
            "customer_relationship_manager_search_customers",
            json!({"last_contact_date_min": "2023-11-20"}),
            json!({"customers": [cleo], "pagination": {"total_customers": 1, "page": 1, "page_size": 5, "total_pages": 1}}),
        ),
        (
            "customer_relationship_manager_search_customers",
            json!({"last_contact_date_max": "2023-11-10"}),
            json!("No customers found."),
        ),
        ("analytics_get_visitor_information_by_id", json!({"visitor_id": "0008"}), json!([visit])),
        ("analytics_total_visits_count", json!({}), json!({"2023-11-01": 2, "2023-11-02": 1})),
        ("analytics_total_visits_count", json!({"time_min": "2023-11-02"}), json!({"2023-11-02": 1})),
        ("analytics_engaged_users_count", json!({}), json!({"2023-11-01": 1, "2023-11-02": 0})),
        (
            "analytics_traffic_source_count",
            json!({"traffic_source": "direct"}),
            json!({"2023-11-01": 1, "2023-11-02": 1}),
        ),
        ("analytics_get_average_session_duration", json!({"time_max": "2023-11-01"}), json!({"2023-11-01": 12.5})),
        (
            "analytics_create_plot",
            json!({"time_min": "2023-11-01", "time_max": "2023-11-02", "value_to_plot": "total_visits", "plot_type": "bar"}),
            json!("plots/2023-11-01_2023-11-02_total_visits_bar.png"),
        ),
    ] {
        assert_eq!(says(name, arguments.clone()).to_string(), expected.to_string(), "{name} {arguments}");
    }
}

#[test]
fn what_is_missing_or_wrong_is_told() {
    for (name, arguments, expected) in [
        ("company_directory_find_email_address", json!({}), "Name not provided."),
        ("email_search_emails", json!({"query": "zebra"}), "No emails found."),
        ("email_search_emails", json!({"query": 5}), "Error searching emails: 'int' object has no attribute 'lower'"),
        (
            "email_search_emails",
            json!({"date_min": "someday"}),
            "Error searching emails: Unknown datetime string format, unable to parse: someday",
        ),
        ("email_get_email_information_by_id", json!({"field": "body"}), "Email ID not provided."),
        ("email_get_email_information_by_id", json!({"email_id": "00000000"}), "Field not provided."),
        ("email_get_email_information_by_id", json!({"email_id": "0", "field": "body"}), "Email not found."),
        (
            "email_get_email_information_by_id",
            json!({"email_id": "00000000", "field": "from"}),
            "Field 'from' not found. Available fields: email_id, inbox/outbox, sender/recipient, subject, sent_datetime, body",
        ),
        (
            "email_send_email",
            json!({"recipient": "a@b.c", "subject": "x"}),
            "Recipient, subject, or body not provided.",
        ),
        (
            "email_send_email",
            json!({"recipient": "a@b", "subject": "x", "body": "y"}),
            "Invalid recipient email address.",
        ),
        ("email_send_email", json!({"recipient": "a@b.c", "subject": "x", "body": "y"}), "Email sent successfully."),
        ("email_delete_email", json!({}), "Email ID not provided."),
        ("email_delete_email", json!({"email_id": "1"}), "Email not found."),
        ("email_delete_email", json!({"email_id": "00000001"}), "Email deleted successfully."),
        ("email_forward_email", json!({"email_id": "00000001"}), "Email ID or recipient not provided."),
        (
            "email_forward_email",
            json!({"email_id": "00000001", "recipient": "ann"}),
            "Invalid recipient email address.",
        ),
        ("email_forward_email", json!({"email_id": "00000001", "recipient": "a@b.c"}), "Email forwarded successfully."),
        ("email_reply_email", json!({"email_id": "00000001"}), "Email ID or body not provided."),
        ("email_reply_email", json!({"email_id": "x", "body": "y"}), "Email not found."),
        ("email_reply_email", json!({"email_id": "00000001", "body": "y"}), "Email replied successfully."),
        (
            "calendar_get_event_information_by_id",
            json!({"event_id": "1", "field": "duration"}),
            "Invalid event ID format. Expected 8-digit ID.",
        ),
        (
            "calendar_get_event_information_by_id",
            json!({"event_id": "00000001", "field": "x"}),
            "Invalid field. Available fields are: event_id, event_name, participant_email, event_start, duration",
        ),
        ("calendar_search_events", json!({"query": "zebra"}), "No events found."),
        (
            "calendar_search_events",
            json!({"time_min": "soon"}),
            "Invalid time_min format. Expected YYYY-MM-DD HH:MM:SS.",
        ),
        ("calendar_create_event", json!({}), "Event name not provided."),
        ("calendar_create_event", json!({"event_name": "x"}), "Participant email not provided."),
        ("calendar_create_event", json!({"event_name": "x", "participant_email": "y"}), "Event start not provided."),
        (
            "calendar_create_event",
            json!({"event_name": "x", "participant_email": "y", "event_start": "2023-12-05"}),
            "Event duration not provided.",
        ),
        (
            "calendar_create_event",
            json!({"event_name": "x", "participant_email": "y", "event_start": "2023-12-05", "duration": "an hour"}),
            "Invalid duration format. Expected a number of minutes.",
        ),
        (
            "calendar_create_event",
            json!({"event_name": "x", "participant_email": "y", "event_start": "2023-12-05", "duration": -5}),
            "Duration must be a positive number of minutes.",
        ),
        (
            "calendar_create_event",
            json!({"event_name": "x", "participant_email": "y", "event_start": "2023-12-05", "duration": "45"}),
            "00000002",
        ),
        ("calendar_delete_event", json!({"event_id": "00000009"}), "Event not found."),
        ("calendar_delete_event", json!({"event_id": "00000001"}), "Event deleted successfully."),
        (
            "calendar_update_event",
            json!({"event_id": "00000001", "field": "duration"}),
            "Event ID, field, or new value not provided.",
        ),
        (
            "calendar_update_event",
            json!({"event_id": "00000001", "field": "duration", "new_value": "45"}),
            "Event updated successfully.",
        ),
        ("analytics_get_visitor_information_by_id", json!({"visitor_id": "7"}), "Visitor not found."),
        ("analytics_create_plot", json!({}), "Start date not provided."),
        (
            "analytics_create_plot",
            json!({"time_min": "a", "time_max": "b", "value_to_plot": "total_visits", "plot_type": "pie"}),
            "Plot type must be one of 'bar', 'line', 'scatter', or 'histogram'",
        ),
        ("project_management_search_tasks", json!({}), "No search parameters provided."),
        (
            "project_management_search_tasks",
            json!({"assigned_to_email": "ann"}),
            "Invalid email format for assigned_to_email.",
        ),
        ("project_management_create_task", json!({"task_name": "x"}), "Missing task details."),
        (
            "project_management_create_task",
            json!({"task_name": "x", "assigned_to_email": "cy@site.example", "list_name": "Backlog", "due_date": "d", "board": "Design"}),
            "Assignee email not valid. Please choose from the list of team members.",
        ),
        (
            "project_management_create_task",
            json!({"task_name": "x", "assigned_to_email": "BO@site.example", "list_name": "Backlog", "due_date": "d", "board": "Design"}),
            "00000002",
        ),
        (
            "project_management_update_task",
            json!({"task_id": "00000000", "field": "list_name", "new_value": "Done"}),
            "List not valid. Please choose from: 'Backlog', 'In Progress', 'In Review', 'Completed'.",
        ),
        (
            "project_management_update_task",
            json!({"task_id": "00000000", "field": "x", "new_value": "y"}),
            "Field not valid.",
        ),
        ("project_management_delete_task", json!({"task_id": "00000005"}), "Task not found."),
        (
            "customer_relationship_manager_search_customers",
            json!({"page": 2}),
            "No search parameters provided. Please provide at least one parameter.",
        ),
        (
            "customer_relationship_manager_update_customer",
            json!({"customer_id": "00000001", "field": "status", "new_value": "won"}),
            "Status not valid. Please choose from: 'Qualified', 'Won', 'Lost', 'Lead', 'Proposal'",
        ),
        (
            "customer_relationship_manager_add_customer",
            json!({"customer_name": "x", "status": "Lead"}),
            "Please provide all required fields: customer_name, assigned_to_email, status.",
        ),
        (
            "customer_relationship_manager_delete_customer",
            json!({"customer_id": "00000001"}),
            "Customer deleted successfully.",
        ),
        ("nope", json!({}), "Error executing tool 'nope': 'nope'"),
        (
            "email_send_email",
            json!({"bogus": 1}),
            "Error executing tool 'email_send_email': EmailTool.send_email() got an unexpected keyword argument 'bogus'",
        ),
        (
            "calendar_search_events",
            json!({"query": "(", "bogus": null}),
            "Error executing tool 'calendar_search_events': missing ), unterminated subpattern at position 0",
        ),
    ] {
        assert_eq!(says(name, arguments.clone()), json!(expected), "{name} {arguments}");
    }
}

#[test]
fn a_session_keeps_what_its_tools_did() {
    let mut instance = seeded();
    let mut say = |name: &str, arguments: Json| output(&mut instance, name, &arguments);
    let mail = json!({"recipient": "Cy@Site.Example", "subject": "Hi", "body": "There"});
    assert_eq!(say("email_send_email", mail.clone()), "Email sent successfully.");
    let found = say("email_search_emails", json!({"query": "there hi"}));
    // Numbers of new mails have no zeros in front, and addresses are in lower case.
    assert_eq!(
        found["emails"],
        json!([{"email_id": "3", "inbox/outbox": "outbox", "sender/recipient": "cy@site.example", "subject": "Hi",
            "sent_datetime": "2023-11-30 23:59:00", "body": "There"}])
    );
    let add = json!({"customer_name": "Eve", "assigned_to_email": "Ann@site.example", "status": "Lead"});
    assert_eq!(say("customer_relationship_manager_add_customer", add), "00000002");
    let eve = say("customer_relationship_manager_search_customers", json!({"customer_name": "eve"}));
    assert_eq!(
        eve["customers"],
        json!([{"customer_id": "00000002", "assigned_to_email": "ann@site.example", "customer_name": "Eve", "customer_email": null,
            "customer_phone": null, "last_contact_date": null, "product_interest": null, "status": "Lead", "follow_up_by": null,
            "notes": ""}])
    );
    // A customer without an address makes the column unsearchable.
    assert_eq!(
        say("customer_relationship_manager_search_customers", json!({"customer_email": "ray"})),
        "Error executing tool 'customer_relationship_manager_search_customers': \
         Cannot mask with non-boolean array containing NA / NaN values"
    );
    // Averages of all days turn the durations into numbers.
    say("analytics_get_average_session_duration", json!({}));
    let visits = say("analytics_get_visitor_information_by_id", json!({"visitor_id": "0008"}));
    assert_eq!(visits[0]["session_duration_seconds"], json!(15.0));
    // Seeding again begins anew.
    instance.seed_session("{}").unwrap();
    assert_eq!(output(&mut instance, "email_search_emails", &json!({"query": "there hi"})), "No emails found.");
}

#[test]
fn tools_need_a_session_and_grading_ends_it() {
    let mut instance = Instance::<Workplace>::new(context().build());
    let refused = |instance: &mut Instance<Workplace>| match instance.call_tool("email_delete_email", "{}") {
        Err(Failure::Refused(refuse)) => (refuse.status(), refuse.detail().clone()),
        other => panic!("{other:?}"),
    };
    let not_seeded = (400, json!("Session not initialized. Please call seed_session first."));
    assert_eq!(refused(&mut instance), not_seeded);
    instance.seed_session(r#"{"anything": 1}"#).unwrap();
    instance.call_tool("email_delete_email", "{}").unwrap();
    let id = 12_345_678_901_234_567_890_u64;
    let row = json!({"id": id, "category": "", "environment_name": "", "ground_truth": [], "response": {"output": []}});
    for _ in 0..2 {
        assert_eq!(instance.verify(row.to_string()).unwrap().reward(), 1.0);
    }
    assert_eq!(refused(&mut instance), not_seeded);
    instance.seed_session("{}").unwrap();
    match instance.call_tool("email_delete_email", "[1]") {
        Err(Failure::Refused(refuse)) => assert_eq!(refuse.status(), 422),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_state_is_right_whatever_led_to_it() {
    let send = |subject: &str, body: &str| {
        ("email_send_email", json!({"recipient": "a@b.c", "subject": subject, "body": body}))
    };
    let create = |name: &str, duration: Json| {
        (
            "calendar_create_event",
            json!({"event_name": name, "participant_email": "a@b.c", "event_start": "2023-12-05", "duration": duration}),
        )
    };
    let delete = |id: &str| ("email_delete_email", json!({"email_id": id}));
    let update = |field: &str, value: Json| {
        (
            "customer_relationship_manager_update_customer",
            json!({"customer_id": "00000001", "field": field, "new_value": value}),
        )
    };
    let add = |more: Json| {
        let mut customer = json!({"customer_name": "Eve", "assigned_to_email": "ann@site.example", "status": "Lead"});
        customer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("customer_relationship_manager_add_customer", customer)
    };
    let search = ("email_search_emails", json!({"query": "lunch"}));
    for (calls, right, expected) in [
        // Reading does not count, and neither do calls that fail.
        (vec![search.clone(), send("Hi", "x")], vec![send("Hi", "x")], 1.0),
        (vec![delete("9"), ("nope", json!({})), send("Hi", "x")], vec![send("Hi", "x")], 1.0),
        (vec![search], vec![], 1.0),
        (vec![], vec![send("Hi", "x")], 0.0),
        // Case does not count in most columns.
        (vec![send("HI", "X")], vec![send("hi", "x")], 1.0),
        (vec![send("Hi!", "x")], vec![send("Hi", "x")], 0.0),
        (vec![add(json!({"status": "lead"}))], vec![add(json!({}))], 0.0),
        // More than was asked for is wrong.
        (vec![send("Hi", "x"), send("Hi", "x")], vec![send("Hi", "x")], 0.0),
        // Order counts where it shows in the rows.
        (vec![send("a", "x"), send("b", "x")], vec![send("b", "x"), send("a", "x")], 0.0),
        (vec![delete("00000001"), delete("00000002")], vec![delete("00000002"), delete("00000001")], 1.0),
        (vec![delete("00000001"), send("a", "x")], vec![send("a", "x"), delete("00000001")], 0.0),
        // Deleting what was added leaves no trace.
        (vec![create("x", json!("30")), ("calendar_delete_event", json!({"event_id": "00000002"}))], vec![], 1.0),
        // A number is no text, and any number is like any other.
        (vec![create("x", json!(30))], vec![create("x", json!("30"))], 0.0),
        (vec![create("x", json!(30))], vec![create("x", json!(45))], 1.0),
        // What was changed to what it was is as before.
        (vec![update("status", json!("Lead"))], vec![], 1.0),
        (vec![update("status", json!("Won")), update("status", json!("Lead"))], vec![], 1.0),
        (vec![update("notes", json!("x"))], vec![], 0.0),
        // Arguments that are null count as given: notes are empty, or missing.
        (vec![add(json!({"notes": null}))], vec![add(json!({}))], 0.0),
        (vec![add(json!({"notes": ""}))], vec![add(json!({}))], 1.0),
        (vec![add(json!({"customer_phone": null}))], vec![add(json!({}))], 1.0),
        // Plots are compared without regard to case as well.
        (
            vec![(
                "analytics_create_plot",
                json!({"time_min": "A", "time_max": "b", "value_to_plot": "total_visits", "plot_type": "bar"}),
            )],
            vec![(
                "analytics_create_plot",
                json!({"time_min": "a", "time_max": "B", "value_to_plot": "total_visits", "plot_type": "bar"}),
            )],
            1.0,
        ),
    ] {
        assert_eq!(reward(&calls, &right), expected, "{calls:?} for {right:?}");
    }
}

#[test]
fn a_ground_truth_that_says_nothing_changes_nothing() {
    let send = ("email_send_email", json!({"recipient": "a@b.c", "subject": "x", "body": "y"}));
    for ground_truth in [
        json!("email_send_email"),
        json!([]),
        json!([{"name": "email_send_email"}]),
        json!([{"arguments": "{}"}]),
        json!([{"name": "email_send_email", "arguments": "not JSON"}]),
        json!([{"name": "email_send_email", "arguments": "[]"}]),
    ] {
        assert_eq!(verify(&[], &ground_truth), 1.0, "{ground_truth}");
        assert_eq!(verify(std::slice::from_ref(&send), &ground_truth), 0.0, "{ground_truth}");
    }
    assert_eq!(verify(&[("email_send_email", json!("{]"))], &json!([])), 1.0);
}

#[test]
fn tables_that_are_not_there_or_not_right_are_faults() {
    let verify = |context: TestContext| {
        let call = json!({"type": "function_call", "name": "email_delete_email", "arguments": "{\"email_id\": \"x\"}"});
        let row = json!({"id": 1, "category": "", "environment_name": "", "ground_truth": [], "response": {"output": [call]}});
        Instance::<Workplace>::new(context.build()).verify(row.to_string())
    };
    let path = "csv_data/processed/emails.csv";
    for context in [
        Context::for_test(),
        Context::for_test().file(path, "email_id\n1\n"),
        Context::for_test().file(path, "a,b\n1\n"),
    ] {
        assert!(matches!(verify(context), Err(Failure::Fault(_))));
    }
}

#[test]
fn tasks_describe_the_tools_as_they_are() {
    let rows = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/data/example.jsonl")).unwrap();
    for row in rows.lines() {
        let row: Json = serde_json::from_str(row).unwrap();
        let described: Vec<(&str, Vec<&String>)> = row["responses_create_params"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| {
                let parameters = tool["parameters"]["properties"].as_object().unwrap();
                (tool["name"].as_str().unwrap(), parameters.keys().collect())
            })
            .collect();
        assert_eq!(described.len(), TOOLS.len());
        for tool in TOOLS {
            let names: Vec<&str> = tool.parameters.iter().map(|(name, _)| *name).collect();
            let (_, described) = described.iter().find(|(name, _)| *name == tool.name).unwrap();
            assert_eq!(
                names.iter().collect::<std::collections::BTreeSet<_>>(),
                described.iter().map(|name| name.as_str()).collect::<Vec<_>>().iter().collect(),
                "{}",
                tool.name
            );
        }
    }
}

#[test]
fn the_tools_are_listed_as_the_tasks_describe_them() {
    let rows = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/data/example.jsonl")).unwrap();
    let row: Json = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    let mut instance = Instance::<Workplace>::new(Context::for_test().build());
    let description = instance.describe().unwrap();
    assert!(description.any_tool);
    let tasks = row["responses_create_params"]["tools"].as_array().unwrap();
    assert_eq!(description.tools.len(), 27);
    for (listed, task) in description.tools.iter().zip(tasks) {
        let mut parameters = listed.parameters.clone();
        let mark = parameters.as_object_mut().unwrap().shift_remove("x-gym-unchecked");
        assert_eq!(mark, Some(true.into()), "calls reach the tools as they are");
        assert_eq!((&parameters, listed.name.as_str()), (&task["parameters"], task["name"].as_str().unwrap()));
    }
}

/// Calls every tool with values of all types, in sessions and in grading.
#[test]
fn no_call_traps() {
    let odd = [
        "null",
        "true",
        "0",
        "-1",
        "7",
        "1e999",
        "-1e999",
        "2.5",
        "99999999999999999999999999999999999999999999",
        "\"\"",
        "\"x\"",
        "\"\\ud800\"",
        "\"(((((\"",
        "\"(a*)*b\"",
        "\"[\"",
        "\"00000001\"",
        "\"2023-12-01 09:00\"",
        "\"99999999999999-99-99\"",
        "\"2023-12-01 09:00+99999999999999999999:00\"",
        "\"9999999999999999999 May\"",
        "\"é½²\"",
        "\"a@b.c\"",
        "[]",
        "[[]]",
        "{}",
        "{\"a\":1}",
        "\"status\"",
        "\"duration\"",
        "\"1e5h\"",
        "\"12 am of 5\"",
    ];
    let mut state = 3_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for _ in 0..300 {
        let mut instance = seeded();
        let mut items = Vec::new();
        for _ in 0..8 {
            let tool = &TOOLS[below(TOOLS.len())];
            let mut members = Vec::new();
            for (name, _) in tool.parameters {
                if below(8) > 0 {
                    members.push(format!("\"{name}\": {}", odd[below(odd.len())]));
                }
            }
            let arguments = format!("{{{}}}", members.join(", "));
            instance.call_tool(tool.name, &arguments).unwrap();
            items.push(json!({"type": "function_call", "name": tool.name, "arguments": arguments}));
        }
        let row =
            json!({"id": 1, "category": "", "environment_name": "", "ground_truth": [], "response": {"output": items}});
        let reward = instance.verify(row.to_string()).unwrap().reward();
        assert!([0.0, 1.0].contains(&reward));
    }
    let deep = format!("{{\"notes\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let mut instance = seeded();
    assert!(matches!(instance.call_tool("email_delete_email", &deep), Err(Failure::Refused(_))));
    assert_eq!(verify(&[("email_delete_email", json!(deep))], &json!([])), 1.0);
}
