# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of the company. The tasks are in `generate_tasks.py`.

    python3 generate.py && python3 generate_tasks.py

Everything follows from SEED. The files have the names, columns and sizes that NeMo Gym's have, and none of their content.
"""

import csv
import random
from datetime import date, datetime, timedelta
from pathlib import Path

SEED = 20231130
FOLDER = Path(__file__).parent / "csv_data"
TODAY = date(2023, 11, 30)
DOMAIN = "larkfield.example"

PEOPLE = [
    "amina.osei", "bastian.vogt", "chiara.ricci", "dmitri.orlov", "elif.kaya", "farid.rahimi", "greta.lindqvist",
    "hana.suzuki", "ivan.petrov", "jonas.weber", "kofi.mensah", "lucia.navarro", "maren.holm", "nikhil.rao",
    "olga.nowak", "pavel.dvorak", "quentin.moreau", "rosa.delgado", "selin.arslan", "tomas.silva",
]
DIRECTORY = [f"{name}@{DOMAIN}" for name in PEOPLE]
TEAM = DIRECTORY
SALES = DIRECTORY[9:15]

BOARDS = {
    "Back end": [
        "Cache the price list", "Migrate the order database", "Rotate the API keys", "Speed up the invoice export",
        "Add a health check", "Fix the time zone of reports", "Retry failed webhooks", "Split the billing service",
        "Log slow queries", "Limit the upload size", "Sign the download links", "Remove the old login",
    ],
    "Front end": [
        "Mend the date picker", "Make the menu reachable by keyboard", "Show progress of uploads", "Shorten the sign-up form",
        "Remember the chosen language", "Fix the footer on phones", "Add a dark theme", "Explain empty search results",
        "Load images later", "Warn before leaving a form", "Sort the order list", "Translate the error page",
    ],
    "Design": [
        "Sketch the new start page", "Choose icons for settings", "Draw the empty states", "Review the colour contrast",
        "Plan the onboarding tour", "Redraw the logo for print", "Test the checkout with users", "Write a style guide",
        "Lay out the newsletter", "Animate the loading screen", "Storyboard the product video", "Refresh the price page",
    ],
}
LISTS = ["Backlog", "In Progress", "In Review", "Completed"]
EVENTS = [
    "Budget check", "Sprint planning", "Hiring sync", "Customer call", "Roadmap talk", "Security drill", "One-on-one",
    "Release meeting", "Design review", "Quarter review", "Training", "Supplier visit", "Support handover", "Retrospective",
    "Risk workshop", "Town hall", "Data clean-up", "Press briefing", "Contract talk", "Team breakfast",
]
TOPICS = [
    ("Travel plans for the fair", "the hotel near the station is still free"),
    ("Draft of the annual report", "chapters two and three need your figures"),
    ("New coffee machine", "the vendor can deliver it next week"),
    ("Feedback on the prototype", "the testers liked the search but not the menu"),
    ("Server costs in autumn", "we are above the plan by a tenth"),
    ("Offsite in spring", "the lake house has room for thirty people"),
    ("Interview notes", "I would invite the second candidate again"),
    ("Printer on the third floor", "it jams on every double-sided page"),
    ("Contract with the agency", "their lawyer asks for two changes"),
    ("Lunch menu survey", "most people want more vegetables"),
    ("Password policy", "the new rule starts at the end of the month"),
    ("Photos of the team day", "they are in the shared folder"),
    ("Invoice questions", "the amounts of two orders do not match"),
    ("Website outage report", "the cause was a certificate that had run out"),
    ("Parking spaces", "two of them will be closed for repairs"),
    ("Translation of the manual", "the Spanish version is ready for review"),
    ("Warehouse count", "eleven boxes are missing from the list"),
    ("Charity run", "we still need four runners for the second team"),
    ("Library subscription", "it ends in December unless we renew it"),
    ("Desk moves", "your team goes to the room by the stairs"),
]
GREETINGS = ["Hi Robin,", "Dear Robin,", "Hello Robin,", "Robin,"]
OPENINGS = ["a short note on this:", "just so that you know:", "in case you missed it:", "as promised:"]
REQUESTS = [
    "Could you have a look before Friday?", "Tell me what you think.", "No hurry, but please do not forget it.",
    "Shall we talk about it tomorrow?", "I would need an answer this week.", "Feel free to pass it on.",
]
SOURCES = ["direct", "referral", "search engine", "social media"]
FIRST = [
    "Abel", "Bianca", "Cedric", "Dalia", "Emil", "Freya", "Gustav", "Helena", "Igor", "Jasmin", "Kaspar", "Lina", "Magnus",
    "Nora", "Otis", "Petra", "Ravi", "Salma", "Theo", "Uma", "Vera", "Wanda", "Xaver", "Yara", "Zeno",
]
LAST = [
    "Adler", "Bakker", "Costa", "Duarte", "Eriksen", "Fontana", "Garcia", "Haas", "Ivanova", "Jensen", "Kovacs", "Lopez",
    "Maier", "Nilsen", "Okafor", "Popescu", "Quist", "Rossi", "Sato", "Torres", "Ueda", "Varga", "Wolff", "Yilmaz", "Zidane",
]
COMPANIES = [
    "brightmill", "coldharbour", "deltaforge", "elmworks", "foxglove", "granitebay", "hillcrest", "ironwood", "juniperlab",
    "kestrel", "lanternco", "mossbank", "northquay", "oakline", "pinegrove",
]
STATUSES = ["Qualified", "Won", "Lost", "Lead", "Proposal"]
PRODUCTS = ["Software", "Hardware", "Services", "Consulting", "Training"]
NOTES = ["Asked for a quote.", "Liked the demo.", "Wants a trial.", "Compares prices.", "Met at the fair.", "Prefers phone calls."]


def ids(rng, count):
    """Ids of eight digits, in an order of their own."""
    numbers = list(range(count))
    rng.shuffle(numbers)
    return [f"{number:08d}" for number in numbers]


def moment(rng, first, last):
    """A moment between two days."""
    day = first + timedelta(days=rng.randrange((last - first).days + 1))
    return datetime(day.year, day.month, day.day, rng.randrange(7, 20), rng.randrange(60), rng.randrange(60))


def emails(rng):
    moments = set()
    while len(moments) < 500:
        moments.add(moment(rng, date(2023, 10, 1), TODAY))
    rows = []
    for number, sent in zip(ids(rng, 500), sorted(moments)):
        subject, body = rng.choice(TOPICS)
        if rng.random() < 0.25:
            subject = f"Task update: {rng.choice(rng.choice(list(BOARDS.values())))}"
            body = "there is news on this task, see the board"
        other = rng.choice(DIRECTORY)
        name = other.split(".")[0].capitalize()
        if rng.random() < 0.7:
            text = f"{rng.choice(GREETINGS)} {rng.choice(OPENINGS)} {body}. {rng.choice(REQUESTS)} Best, {name}"
            rows.append([number, "inbox", other, subject, sent, text])
        else:
            text = f"Dear {name}, {rng.choice(OPENINGS)} {body}. {rng.choice(REQUESTS)} Best, Robin"
            rows.append([number, "outbox", other, subject, sent, text])
    return ["email_id", "inbox/outbox", "sender/recipient", "subject", "sent_datetime", "body"], rows


def calendar(rng):
    slots = set()
    while len(slots) < 300:
        day = date(2023, 10, 2) + timedelta(days=rng.randrange(90))
        if day.weekday() < 5:
            slots.add(datetime(day.year, day.month, day.day, rng.randrange(9, 17), rng.choice([0, 30])))
    rows = [
        [number, rng.choice(EVENTS), rng.choice(DIRECTORY), start, rng.choice([30, 30, 60, 60, 90])]
        for number, start in zip(ids(rng, 300), sorted(slots))
    ]
    return ["event_id", "event_name", "participant_email", "event_start", "duration"], rows


def analytics(rng):
    days = sorted(date(2023, 9, 1) + timedelta(days=rng.randrange(91)) for _ in range(1000))
    visitors = [f"{number:04d}" for number in rng.sample(range(10_000), 820)]
    rows = [
        [day, rng.choice(visitors), rng.randrange(1, 21), rng.randrange(1, 61), rng.choice(SOURCES), rng.random() < 0.4]
        for day in days
    ]
    return ["date_of_visit", "visitor_id", "page_views", "session_duration_seconds", "traffic_source", "user_engaged"], rows


def tasks(rng):
    rows = []
    for number in range(300):
        board = rng.choice(list(BOARDS))
        due = date(2023, 11, 1) + timedelta(days=rng.randrange(60))
        # What is long over is done.
        status = "Completed" if due < TODAY - timedelta(days=14) else rng.choice(LISTS)
        rows.append([f"{number:08d}", rng.choice(BOARDS[board]), rng.choice(TEAM), status, due, board])
    return ["task_id", "task_name", "assigned_to_email", "list_name", "due_date", "board"], rows


def customers(rng):
    names = rng.sample([(first, last) for first in FIRST for last in LAST], 200)
    days = sorted((date(2023, 10, 1) + timedelta(days=rng.randrange(60)) for _ in range(200)), reverse=True)
    rows = []
    for number, (first, last), contact in zip(ids(rng, 200), names, days):
        address = f"{first}.{last}@{rng.choice(COMPANIES)}.example".lower()
        phone = f"{rng.randrange(100, 999)}-555-{rng.randrange(10_000):04d}" if rng.random() < 0.6 else ""
        follow_up = contact + timedelta(days=rng.randrange(5, 31))
        notes = " ".join(
            f"{contact + timedelta(days=rng.randrange(-5, 5))}: {note}" for note in rng.sample(NOTES, rng.randrange(4))
        )
        rows.append([
            number, rng.choice(SALES), f"{first} {last}", address, phone, f"{contact} 23:59:00", rng.choice(PRODUCTS),
            rng.choice(STATUSES), f"{follow_up} 23:59:00", notes,
        ])
    columns = [
        "customer_id", "assigned_to_email", "customer_name", "customer_email", "customer_phone", "last_contact_date",
        "product_interest", "status", "follow_up_by", "notes",
    ]
    return columns, rows


def write(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if columns:
            writer.writerow(columns)
        writer.writerows(rows)


def main():
    rng = random.Random(SEED)
    write(FOLDER / "raw" / "email_addresses.csv", None, [[address] for address in DIRECTORY])
    for name, make in [
        ("emails", emails), ("calendar_events", calendar), ("analytics_data", analytics), ("project_tasks", tasks),
        ("customer_relationship_manager_data", customers),
    ]:
        write(FOLDER / "processed" / f"{name}.csv", *make(rng))


if __name__ == "__main__":
    main()
