# SPDX-License-Identifier: Apache-2.0
"""Writes the example tasks, and an attempt at each that is right and one that is wrong. Run `generate.py` before.

Every task is made from rows of the tables: what the user asks for, the calls that do it, and calls that do something else.
"""

import csv
import json
import random
from pathlib import Path

from tool_schemas import schemas

SEED = 77
FOLDER = Path(__file__).parent
SYSTEM = (
    "You are Robin's assistant at work. It is Thursday, 2023-11-30, 23:59:00. Meetings begin at 9:00 at the earliest and end by "
    "18:00. Do what is asked with the tools, and nothing else."
)
CRM = "customer_relationship_manager"
TASKS = "project_management"


def read(name):
    with (FOLDER / "csv_data" / "processed" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def call(name, /, **arguments):
    return {"name": name, "arguments": arguments}


def first_name(address):
    return address.split(".")[0].capitalize()


def look_up(address):
    return [call("company_directory_find_email_address", name=address.split(".")[0])]


class Maker:
    """Makes tasks. Each method gives the user's words, turns with calls that only read, the calls that do what is asked,
    and calls that do something else."""

    def __init__(self):
        self.rng = random.Random(SEED)
        self.emails = read("emails")
        self.events = read("calendar_events")
        self.visits = read("analytics_data")
        self.tasks = read("project_tasks")
        self.customers = read("customer_relationship_manager_data")

    def last_email(self):
        """An email from outside, the last one of its sender on its subject."""
        email = self.rng.choice([email for email in self.emails if email["inbox/outbox"] == "inbox"])
        same = [
            other for other in self.emails
            if all(other[name] == email[name] for name in ("subject", "sender/recipient", "inbox/outbox"))
        ]
        return max(same, key=lambda email: email["sent_datetime"])

    def find_email(self, email):
        sender = email["sender/recipient"]
        return [look_up(sender), [call("email_search_emails", query=f"{sender} {email['subject']}")]]

    def email_reply(self):
        email = self.last_email()
        text = self.rng.choice(["Thank you, I will look at it tomorrow.", "That is fine with me.", "Please ask me again next week."])
        number = email["email_id"]
        return (
            f"Reply to {first_name(email['sender/recipient'])}'s last email about '{email['subject']}' with '{text}'",
            self.find_email(email),
            [call("email_reply_email", email_id=number, body=text)],
            [call("email_send_email", recipient=email["sender/recipient"], subject=email["subject"], body=text)],
        )

    def email_forward(self):
        email, to = self.last_email(), self.rng.choice(self.tasks)["assigned_to_email"]
        return (
            f"Forward {first_name(email['sender/recipient'])}'s last email about '{email['subject']}' to {first_name(to)}.",
            self.find_email(email) + [look_up(to)],
            [call("email_forward_email", email_id=email["email_id"], recipient=to)],
            [call("email_forward_email", email_id=email["email_id"], recipient=email["sender/recipient"])],
        )

    def email_delete(self):
        email = self.last_email()
        return (
            f"Delete the last email that {first_name(email['sender/recipient'])} sent me about '{email['subject']}'.",
            self.find_email(email),
            [call("email_delete_email", email_id=email["email_id"])],
            [],
        )

    def email_send(self):
        to = self.rng.choice(self.tasks)["assigned_to_email"]
        subject, text = self.rng.choice([
            ("Keys", "The keys are at the reception."), ("Tomorrow's demo", "Please bring the second laptop."),
            ("Slides", "I have put my slides into the folder."),
        ])
        return (
            f"Write an email to {first_name(to)} with the subject '{subject}' and the text '{text}'",
            [look_up(to)],
            [call("email_send_email", recipient=to, subject=subject, body=text)],
            [call("email_send_email", recipient=to, subject=subject, body=f"Hello, {text}")],
        )

    def calendar_create(self):
        to = self.rng.choice(self.events)["participant_email"]
        name, start, duration = self.rng.choice([
            ("Year-end review", "2023-12-19 14:00:00", "60"), ("Demo rehearsal", "2023-12-04 10:30:00", "30"),
            ("Vacation planning", "2023-12-15 16:00:00", "45"),
        ])
        day, time = start.split(" ")
        return (
            f"Schedule a {duration}-minute event called '{name}' with {first_name(to)} on {day} at {time[:5]}.",
            [look_up(to)],
            [call("calendar_create_event", event_name=name, participant_email=to, event_start=start, duration=duration)],
            [call("calendar_create_event", event_name=name, participant_email=to, event_start=start, duration=int(duration))],
        )

    def pick_event(self):
        return self.rng.choice([event for event in self.events if event["event_start"] > "2023-12-01"])

    def find_event(self, event):
        start = event["event_start"]
        return [look_up(event["participant_email"]), [
            call("calendar_search_events", query=event["participant_email"], time_min=start, time_max=start)]]

    def calendar_delete(self):
        event = self.pick_event()
        number = event["event_id"]
        return (
            f"Cancel my meeting with {first_name(event['participant_email'])} at {event['event_start'][:16]}.",
            self.find_event(event),
            [call("calendar_delete_event", event_id=number)],
            [call("calendar_delete_event", event_id=f"{(int(number) + 1) % 300:08d}")],
        )

    def calendar_move(self):
        event = self.pick_event()
        start = event["event_start"][:10] + " 17:15:00"
        return (
            f"Move the '{event['event_name']}' at {event['event_start'][:16]} to 17:15 on the same day.",
            self.find_event(event),
            [call("calendar_update_event", event_id=event["event_id"], field="event_start", new_value=start)],
            [call("calendar_update_event", event_id=event["event_id"], field="event_start", new_value=start[:16])],
        )

    def calendar_rename_and_extend(self):
        event = self.pick_event()
        change = lambda field, value: call("calendar_update_event", event_id=event["event_id"], field=field, new_value=value)
        return (
            f"The '{event['event_name']}' at {event['event_start'][:16]} becomes a 'Workshop' of two hours.",
            self.find_event(event),
            [change("event_name", "Workshop"), change("duration", "120")],
            [change("event_name", "Workshop")],
        )

    def period(self):
        first, last = sorted(self.rng.sample(sorted({visit["date_of_visit"] for visit in self.visits}), 2))
        return {"time_min": first, "time_max": last}

    def analytics_plot(self):
        when = self.period()
        kind, value, words = self.rng.choice([
            ("bar", "total_visits", "all visits"), ("line", "user_engaged", "engaged users"),
            ("scatter", "visits_referral", "visits by referral"), ("histogram", "session_duration_seconds", "session durations"),
        ])
        return (
            f"Make a {kind} plot of {words} from {when['time_min']} to {when['time_max']}.",
            [],
            [call("analytics_create_plot", **when, value_to_plot=value, plot_type=kind)],
            [call("analytics_create_plot", **when, value_to_plot="visits_direct", plot_type=kind)],
        )

    def analytics_plot_if(self):
        day = self.period()["time_max"]
        durations = [int(visit["session_duration_seconds"]) for visit in self.visits if visit["date_of_visit"] == day]
        average = sum(durations) / len(durations)
        limit = 30
        when = {"time_min": day, "time_max": day}
        plot = call("analytics_create_plot", **when, value_to_plot="session_duration_seconds", plot_type="bar")
        asked = [[call("analytics_get_average_session_duration", **when)]]
        words = f"If the average session of {day} was longer than {limit} seconds, make a bar plot of the session durations of that day."
        return (words, asked, [plot], []) if average > limit else (words, asked, [], [plot])

    def analytics_question(self):
        day = self.period()["time_min"]
        when = {"time_min": day, "time_max": day}
        return (
            f"How many visits did the site have on {day}, and how many of them came from social media?",
            [[call("analytics_total_visits_count", **when), call("analytics_traffic_source_count", **when, traffic_source="social media")]],
            [],
            [call("analytics_create_plot", **when, value_to_plot="total_visits", plot_type="bar")],
        )

    def task_create(self):
        to, (name, board) = self.rng.choice(self.tasks)["assigned_to_email"], self.rng.choice([
            ("Measure the start time", "Back end"), ("Replace the map widget", "Front end"), ("Draft the winter banner", "Design"),
        ])
        make = lambda place: call(
            f"{TASKS}_create_task", task_name=name, assigned_to_email=to, list_name=place, due_date="2023-12-20", board=board)
        return (
            f"Add a task '{name}' for {first_name(to)} to the backlog of the {board} board, due on 2023-12-20.",
            [look_up(to)],
            [make("Backlog")],
            [make("In Progress")],
        )

    def few_tasks(self):
        """Up to three tasks of one person that are in one list of one board."""
        while True:
            task = self.rng.choice([task for task in self.tasks if task["list_name"] != "Completed"])
            keys = ("assigned_to_email", "list_name", "board")
            same = [other for other in self.tasks if all(other[key] == task[key] for key in keys)]
            if 2 <= len(same) <= 3:
                return task, same

    def tasks_complete(self):
        task, same = self.few_tasks()
        to = task["assigned_to_email"]
        changes = [call(f"{TASKS}_update_task", task_id=other["task_id"], field="list_name", new_value="Completed") for other in same]
        return (
            f"Move all of {first_name(to)}'s tasks on the {task['board']} board that are in '{task['list_name']}' to 'Completed'.",
            [look_up(to), [call(f"{TASKS}_search_tasks", assigned_to_email=to, list_name=task["list_name"], board=task["board"])]],
            changes,
            changes[1:],
        )

    def task_reassign(self):
        task = self.rng.choice(self.tasks)
        to = self.rng.choice([other for other in self.tasks if other["assigned_to_email"] != task["assigned_to_email"]])["assigned_to_email"]
        change = lambda value: [call(f"{TASKS}_update_task", task_id=task["task_id"], field="assigned_to_email", new_value=value)]
        return (
            f"Give task {task['task_id']} to {first_name(to)}.", [look_up(to)], change(to), change("nobody@larkfield.example"),
        )

    def task_delete(self):
        task = self.rng.choice(self.tasks)
        return (
            f"Task {task['task_id']} is not needed any more, please delete it.",
            [[call(f"{TASKS}_get_task_information_by_id", task_id=task["task_id"], field="task_name")]],
            [call(f"{TASKS}_delete_task", task_id=task["task_id"])],
            [call(f"{TASKS}_update_task", task_id=task["task_id"], field="list_name", new_value="Completed")],
        )

    def customer_add(self):
        to = self.rng.choice(self.customers)["assigned_to_email"]
        add = lambda **more: [call(f"{CRM}_add_customer", customer_name="Ingrid Falk", assigned_to_email=to, status="Lead", **more)]
        return (
            f"Add a new lead, Ingrid Falk, who is interested in training. {first_name(to)} looks after her.",
            [look_up(to)],
            add(product_interest="Training"),
            add(product_interest="Training", notes="New lead"),
        )

    def customer_status(self):
        customer = self.rng.choice(self.customers)
        status = self.rng.choice([status for status in ("Won", "Lost", "Proposal") if status != customer["status"]])
        change = lambda value: [call(f"{CRM}_update_customer", customer_id=customer["customer_id"], field="status", new_value=value)]
        return (
            f"{customer['customer_name']} is now '{status}', please note that.",
            [[call(f"{CRM}_search_customers", customer_name=customer["customer_name"])]],
            change(status),
            change(status.lower()),
        )

    def customer_delete(self):
        customer = self.rng.choice(self.customers)
        return (
            f"{customer['customer_name']} asked us to delete what we know. Please remove the customer.",
            [[call(f"{CRM}_search_customers", customer_name=customer["customer_name"])]],
            [call(f"{CRM}_delete_customer", customer_id=customer["customer_id"])],
            [call(f"{CRM}_update_customer", customer_id=customer["customer_id"], field="status", new_value="Lost")],
        )

    def customers_reassign(self):
        while True:
            customer = self.rng.choice(self.customers)
            keys = ("assigned_to_email", "status", "product_interest")
            same = [other for other in self.customers if all(other[key] == customer[key] for key in keys)]
            others = [other["assigned_to_email"] for other in self.customers if other["assigned_to_email"] != customer["assigned_to_email"]]
            if len(same) in (2, 3):
                break
        to = self.rng.choice(others)
        changes = [
            call(f"{CRM}_update_customer", customer_id=other["customer_id"], field="assigned_to_email", new_value=to) for other in same
        ]
        return (
            f"Give all of {first_name(customer['assigned_to_email'])}'s customers who are '{customer['status']}' and interested in "
            f"{customer['product_interest'].lower()} to {first_name(to)}.",
            [look_up(customer["assigned_to_email"]) + look_up(to), [call(
                f"{CRM}_search_customers", assigned_to_email=customer["assigned_to_email"], status=customer["status"],
                product_interest=customer["product_interest"])]],
            changes,
            changes + [call(f"{CRM}_delete_customer", customer_id=same[0]["customer_id"])],
        )

    def several_task_and_mail(self):
        to = self.rng.choice(self.tasks)["assigned_to_email"]
        task = call(
            f"{TASKS}_create_task", task_name="Check the backups", assigned_to_email=to, list_name="Backlog", due_date="2023-12-08",
            board="Back end")
        mail = call("email_send_email", recipient=to, subject="New task", body="Please check the backups.")
        return (
            f"Make a task 'Check the backups' for {first_name(to)} in the backlog of the Back end board, due on 2023-12-08, and tell "
            f"{first_name(to)} by email: subject 'New task', text 'Please check the backups.'",
            [look_up(to)],
            [task, mail],
            [task],
        )

    def several_meeting_for_customer(self):
        customer = self.rng.choice(self.customers)
        to, name = customer["assigned_to_email"], customer["customer_name"]
        book = lambda start: call(
            "calendar_create_event", event_name=f"Talk about {name}", participant_email=to, event_start=start, duration="30")
        return (
            f"Find out who looks after {name}, book 'Talk about {name}' with that colleague for 2023-12-06 at 11:00, half an hour, and "
            "set the follow-up of the customer to 2023-12-06.",
            [[call(f"{CRM}_search_customers", customer_name=name)]],
            [book("2023-12-06 11:00:00"),
             call(f"{CRM}_update_customer", customer_id=customer["customer_id"], field="follow_up_by", new_value="2023-12-06")],
            [book("2023-12-06 11:00:00")],
        )


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main():
    maker = Maker()
    kinds = [
        "email_reply", "email_forward", "email_delete", "email_send", "calendar_create", "calendar_delete", "calendar_move",
        "calendar_rename_and_extend", "analytics_plot", "analytics_plot_if", "analytics_question", "task_create", "tasks_complete",
        "task_reassign", "task_delete", "customer_add", "customer_status", "customer_delete", "customers_reassign",
        "several_task_and_mail", "several_meeting_for_customer", "email_reply", "calendar_delete", "analytics_plot", "tasks_complete",
        "customers_reassign",
    ]
    tools = schemas()
    rows, cases = [], []
    for number, kind in enumerate(kinds):
        words, reading, right, wrong = getattr(maker, kind)()
        category = {"task": TASKS, "tasks": TASKS, "customer": CRM, "customers": CRM, "several": "multi_domain"}
        rows.append({
            "id": number,
            "responses_create_params": {
                "input": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": words}],
                "tools": tools, "parallel_tool_calls": False, "temperature": 1.0,
            },
            "ground_truth": [{"name": step["name"], "arguments": json.dumps(step["arguments"])} for step in right],
            "category": category.get(kind.split("_")[0], kind.split("_")[0]),
            "environment_name": "workplace_assistant",
        })
        turns = lambda steps: [{"calls": turn} for turn in [*reading, *([steps] if steps else [])]] + [{"text": "Done."}]
        label = f"task {number}, {kind.replace('_', ' ')}"
        cases += [
            {"name": f"{label}: done", "kind": "perfect", "task": number, "turns": turns(right), "reward": 1.0},
            {"name": f"{label}: something else was done", "kind": "wrong", "task": number, "turns": turns(wrong), "reward": 0.0},
        ]
    write(FOLDER / "data" / "example.jsonl", rows)
    text = json.dumps(tools, indent=1, ensure_ascii=False)
    (FOLDER / "src" / "tool_schemas.json").write_text(text + "\n", encoding="utf-8")
    edge = [json.loads(line) for line in (FOLDER / "tests" / "edge_cases.jsonl").read_text(encoding="utf-8").splitlines()]
    write(FOLDER / "tests" / "cases.jsonl", cases + edge)


if __name__ == "__main__":
    main()
