# SPDX-License-Identifier: Apache-2.0
"""The tools as the tasks describe them to a model. Nothing is strict, and optional parameters may be left out."""

DAY = "as YYYY-MM-DD"
MOMENT = "as YYYY-MM-DD HH:MM:SS"
PAGES = {"page": ("integer", "Which page of the results, from 1"), "page_size": ("integer", "How many results a page has")}
PERIOD = {"time_min": ("string", f"First day, {DAY}"), "time_max": ("string", f"Last day, {DAY}")}


def text(**descriptions):
    return {name: ("string", description) for name, description in descriptions.items()}


# Name: what it does, parameters, and which of them are required.
TOOLS = {
    "company_directory_find_email_address": ("Find the email addresses in which a name occurs.", text(name="A name or a part of one"), []),
    "email_get_email_information_by_id": (
        "Get one field of an email.",
        text(email_id="ID of the email", field="email_id, inbox/outbox, sender/recipient, subject, sent_datetime or body"),
        ["email_id", "field"],
    ),
    "email_search_emails": (
        "Search the mailbox. An email is found if all words occur in its subject, body or address; the newest comes first.",
        text(query="Words", date_min=f"First day, {DAY}", date_max=f"Last day, {DAY}") | PAGES,
        [],
    ),
    "email_send_email": (
        "Send an email.", text(recipient="Email address", subject="Subject", body="Text"), ["recipient", "subject", "body"],
    ),
    "email_delete_email": ("Delete an email.", text(email_id="ID of the email"), ["email_id"]),
    "email_forward_email": (
        "Forward an email.", text(email_id="ID of the email", recipient="Email address"), ["email_id", "recipient"],
    ),
    "email_reply_email": ("Reply to an email.", text(email_id="ID of the email", body="Text of the reply"), ["email_id", "body"]),
    "calendar_get_event_information_by_id": (
        "Get one field of an event.",
        text(event_id="ID of the event, 8 digits", field="event_id, event_name, participant_email, event_start or duration"),
        ["event_id", "field"],
    ),
    "calendar_search_events": (
        "Search the calendar by the name of the event or the participant's address; the newest comes first.",
        text(query="What to look for", time_min=f"Start at this time or later, {MOMENT}", time_max=f"Start at this time or earlier, {MOMENT}") | PAGES,
        [],
    ),
    "calendar_create_event": (
        "Put an event into the calendar.",
        text(event_name="Name", participant_email="Email address", event_start=f"Start, {MOMENT}", duration="Minutes"),
        ["event_name", "participant_email", "event_start", "duration"],
    ),
    "calendar_delete_event": ("Delete an event.", text(event_id="ID of the event, 8 digits"), ["event_id"]),
    "calendar_update_event": (
        "Change one field of an event.",
        text(event_id="ID of the event, 8 digits", field="event_name, participant_email, event_start or duration", new_value="What it becomes"),
        ["event_id", "field", "new_value"],
    ),
    "analytics_get_visitor_information_by_id": (
        "Get all visits of one visitor of the site.", text(visitor_id="ID of the visitor"), ["visitor_id"],
    ),
    "analytics_create_plot": (
        "Plot a value over time.",
        PERIOD | text(
            value_to_plot="total_visits, session_duration_seconds, user_engaged, visits_direct, visits_referral, visits_search_engine or visits_social_media",
            plot_type="bar, line, scatter or histogram",
        ),
        ["time_min", "time_max", "value_to_plot", "plot_type"],
    ),
    "analytics_total_visits_count": ("Count the visits of each day.", PERIOD, []),
    "analytics_engaged_users_count": ("Count the engaged users of each day.", PERIOD, []),
    "analytics_traffic_source_count": (
        "Count the visits of each day that came from one source.",
        PERIOD | text(traffic_source="direct, referral, search engine or social media"),
        [],
    ),
    "analytics_get_average_session_duration": ("Get the average length of the sessions of each day, in seconds.", PERIOD, []),
    "project_management_get_task_information_by_id": (
        "Get one field of a task.",
        text(task_id="ID of the task, 8 digits", field="task_id, task_name, assigned_to_email, list_name, due_date or board"),
        ["task_id", "field"],
    ),
    "project_management_search_tasks": (
        "Find the tasks that fit all that is given.",
        text(task_name="Name or a part of it", assigned_to_email="Email address", list_name="List", due_date=f"Day, {DAY}", board="Board"),
        [],
    ),
    "project_management_create_task": (
        "Make a task.",
        text(
            task_name="Name", assigned_to_email="Email address of somebody in the team",
            list_name="Backlog, In Progress, In Review or Completed", due_date=f"Day, {DAY}", board="Back end, Front end or Design",
        ),
        ["task_name", "assigned_to_email", "list_name", "due_date", "board"],
    ),
    "project_management_delete_task": ("Delete a task.", text(task_id="ID of the task, 8 digits"), ["task_id"]),
    "project_management_update_task": (
        "Change one field of a task.",
        text(task_id="ID of the task, 8 digits", field="task_name, assigned_to_email, list_name, due_date or board", new_value="What it becomes"),
        ["task_id", "field", "new_value"],
    ),
    "customer_relationship_manager_search_customers": (
        "Find the customers that fit all that is given.",
        text(
            customer_name="Name or a part of it", customer_email="Email address", product_interest="Product", status="Status",
            assigned_to_email="Email address of the colleague", last_contact_date_min=f"Last contact on this day or later, {DAY}",
            last_contact_date_max=f"Last contact before this day, {DAY}", follow_up_by_min=f"Follow-up on this day or later, {DAY}",
            follow_up_by_max=f"Follow-up before this day, {DAY}",
        ) | PAGES,
        [],
    ),
    "customer_relationship_manager_update_customer": (
        "Change one field of a customer.",
        text(
            customer_id="ID of the customer",
            field="customer_name, assigned_to_email, customer_email, customer_phone, last_contact_date, product_interest, status, notes or follow_up_by",
            new_value="What it becomes",
        ),
        ["customer_id", "field", "new_value"],
    ),
    "customer_relationship_manager_add_customer": (
        "Add a customer.",
        text(
            customer_name="Name", assigned_to_email="Email address of the colleague", status="Qualified, Won, Lost, Lead or Proposal",
            customer_email="Email address", customer_phone="Phone number", last_contact_date=f"Last contact, {DAY}",
            product_interest="Software, Hardware, Services, Consulting or Training", notes="Notes", follow_up_by=f"Next contact, {DAY}",
        ),
        ["customer_name", "assigned_to_email", "status"],
    ),
    "customer_relationship_manager_delete_customer": ("Delete a customer.", text(customer_id="ID of the customer"), ["customer_id"]),
}


def schemas():
    """The tools as a request has them."""
    return [
        {
            "type": "function", "name": name, "description": description,
            "parameters": {
                "type": "object",
                "properties": {name: {"type": kind, "description": words} for name, (kind, words) in parameters.items()},
                "required": required, "additionalProperties": False,
            },
            "strict": False,
        }
        for name, (description, parameters, required) in TOOLS.items()
    ]
