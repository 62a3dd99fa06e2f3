# SPDX-License-Identifier: Apache-2.0
"""Writes the example tasks of this environment, and an attempt at each that is right and one that is wrong.

    python3 generate.py

Days are made first and conversations after them: every event has a place from the beginning, and its constraint is one
that the place satisfies, so that every calendar exists. The output follows from SEED.
"""

import json
import random
from pathlib import Path

SEED = 20250311
FOLDER = Path(__file__).parent

EVENTS = [
    "Budget review", "Dentist", "Piano lesson", "Stand-up", "Call with the bank", "Lunch with Ines", "Bike repair",
    "Parents' evening", "Code review", "Job interview", "Yoga", "Vet visit", "Design critique", "Haircut",
    "Spanish class", "Flat viewing", "Team retrospective", "Blood donation", "Choir practice", "Tax adviser",
]
SMALL_TALK = [
    ("Is it just me, or do these days get shorter and shorter?", "It feels like that at this time of the year! Your calendar has not changed:"),
    ("Thanks, you are quick. Did I ever tell you that I hate Mondays?", "You are not alone with that. Nothing has changed:"),
    ("My coffee machine broke this morning, can you believe it?", "What a start into the day. For now all is as it was:"),
    ("I wonder whether I should learn to cook properly some day.", "It is never too late for that. The calendar stays as it is:"),
]
OPENINGS = [
    "Good morning! Please plan my day.", "Hi there. I need some help with my calendar.",
    "Hello, let us get my day sorted.", "Hey, can you keep my calendar today?",
]


def clock(minutes, hours24):
    """A time of day as people write it: `2:15pm` or `14:15`."""
    hour, minute = divmod(minutes, 60)
    if hours24:
        return f"{hour:02d}:{minute:02d}"
    half = "am" if hour < 12 else "pm"
    hour = hour % 12 or 12
    return f"{hour}{half}" if minute == 0 else f"{hour}:{minute:02d}{half}"


def day(rng, count, start, end, hours24):
    """Events with places between start and end that do not overlap, and constraints that the places satisfy."""
    while True:
        durations = [rng.choice([30, 45, 60, 75, 90]) for _ in range(count)]
        free = end - start - sum(durations)
        if free >= 0:
            break
    gaps = sorted(rng.randrange(free // 15 + 1) * 15 for _ in range(count))
    events, used = [], 0
    for number, name in enumerate(rng.sample(EVENTS, count)):
        begin = start + gaps[number] + used
        finish = begin + durations[number]
        used += durations[number]
        say = lambda minutes: clock(minutes, hours24)
        early = max(start, begin - 15 * rng.randrange(4))
        late = min(end, finish + 15 * rng.randrange(4))
        constraint = rng.choice([
            None, f"before {say(late)}", f"after {say(early)}", f"between {say(early)} and {say(late)}", f"at {say(begin)}",
        ])
        events.append({"name": name, "begin": begin, "duration": durations[number], "constraint": constraint})
    rng.shuffle(events)
    for number, event in enumerate(events):
        event["id"] = number + 1
    return events


def wish(event):
    """What the user says about when an event should be."""
    constraint = event["constraint"]
    if constraint is None:
        return "any time is fine"
    kind, _, rest = constraint.partition(" ")
    return {
        "before": f"it has to be over before {rest}",
        "after": f"it cannot begin before {rest}",
        "between": f"it has to fit between {rest}",
        "at": f"it begins at {rest} sharp",
    }[kind]


def listing(events, hours24):
    """The calendar as the assistant shows it."""
    rows = [
        {"event_id": event["id"], "event_name": event["name"], "start_time": clock(event["begin"], hours24),
         "duration": event["duration"]}
        for event in sorted(events, key=lambda event: event["id"])
    ]
    return json.dumps(rows)


def ask(event):
    return f"{event['name']} (event {event['id']}), {event['duration']} minutes; {wish(event)}."


def task(rng, count, start, end, hours24):
    """A row of the dataset and the events of its day."""
    events = day(rng, count, start, end, hours24)
    low, high = clock(start, hours24), clock(end, hours24)
    system = (
        f"You keep a calendar for one day, from {low} to {high}. Events last as long as the user says, do not overlap, "
        "lie inside of the day and obey what the user says about their times. Move events when that is needed. End every "
        "answer with the whole calendar as one JSON list of objects with event_id, event_name, start_time (such as "
        f"\"{clock(start + 75, hours24)}\") and duration (minutes)."
    )
    # The last turn changes what was said about an event, or adds one.
    changed = None if rng.random() < 0.5 else events[0]
    later = events[-1:] if changed is None else []
    known = events[: len(events) - len(later)]
    first, second = known[: (len(known) + 1) // 2], known[(len(known) + 1) // 2:]
    before = dict(changed, constraint=None) if changed else None
    told = [before if event is changed else event for event in first]
    small, reply = rng.choice(SMALL_TALK)
    if changed:
        last = f"One more thing about {changed['name']} (event {changed['id']}): {wish(changed)}. Please make sure that it is so."
    else:
        last = "And one more: " + ask(later[0])
    turns = [
        ("user", rng.choice(OPENINGS)),
        ("assistant", "Gladly. The calendar is still empty: []"),
        ("user", "Add these, please. " + " ".join(ask(event) for event in told)),
        ("assistant", "Done. " + listing(first, hours24)),
        ("user", small),
        ("assistant", f"{reply} {listing(first, hours24)}"),
        ("user", "There is more. " + " ".join(ask(event) for event in second)),
        ("assistant", "They are in. " + listing(known, hours24)),
        ("user", last),
    ]
    expected = {
        str(event["id"]): {
            "event_id": event["id"], "event_name": event["name"], "duration": event["duration"],
            "constraint": event["constraint"], "min_time": low, "max_time": high,
        }
        for event in events
    }
    messages = [{"role": "system", "content": system}] + [{"role": role, "content": text} for role, text in turns]
    return {"responses_create_params": {"input": messages}, "exp_cal_state": expected}, events


def idle_task(rng):
    """A conversation in which nothing was asked for."""
    talk = rng.sample(SMALL_TALK, 4)
    messages = [{"role": "system", "content": "You keep a calendar for one day, from 10am to 4pm. When there are events, end your "
                 "answer with all of them as a JSON list. Never show your reasoning."}]
    for question, answer in talk:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer.split(".")[0].split("!")[0] + "."}]
    messages.append({"role": "user", "content": "So, how is your day?"})
    return {"responses_create_params": {"input": messages}, "exp_cal_state": {}}


def wrong_answer(number, events, hours24):
    """An answer that is wrong in one way, a different one for each number."""
    events = [dict(event) for event in events]
    kind = number % 5
    if kind == 0:
        return "one event is missing", "Here you are: " + listing(events[:-1], hours24)
    if kind == 1:
        for event in events:
            event["begin"] = events[0]["begin"]
        return "everything is at the same time", "Here you are: " + listing(events, hours24)
    if kind == 2:
        events[0]["duration"] -= 15
        return "an event is too short", "Here you are: " + listing(events, hours24)
    if kind == 3:
        return "the list is no JSON", "Here you are: " + listing(events, hours24).replace('"', "'")
    events[0]["begin"] = 6 * 60
    return "an event is before the day begins", "Here you are: " + listing(events, hours24)


def attempts(label, place, number, events, hours24):
    right = f"It all fits.\n```json\n{listing(events, hours24)}\n```"
    reason, wrong = wrong_answer(number, events, hours24)
    return [
        {"name": f"{label}: every event where it should be", "kind": "perfect", "task": place, "turns": [{"text": right}], "reward": 1.0},
        {"name": f"{label}: {reason}", "kind": "wrong", "task": place, "turns": [{"text": wrong}], "reward": 0.0},
    ]


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main():
    rng = random.Random(SEED)
    rows, rows_v2, cases = [], [], []
    for number in range(22):
        row, events = task(rng, rng.choice([3, 4, 5]), 10 * 60, 16 * 60, False)
        cases += attempts(f"day {number}", number, number, events, False)
        rows.append(row)
    for number in range(22, 24):
        rows.append(idle_task(rng))
        cases += [
            {"name": f"day {number}: nothing was asked for", "kind": "perfect", "task": number, "turns": [{"text": "Quite well, thank you!"}], "reward": 1.0},
            {"name": f"day {number}: reasoning is shown", "kind": "wrong", "task": number, "turns": [{"text": "<think>Small talk.</think> Quite well!"}], "reward": 0.0},
        ]
    for number in range(20):
        row, events = task(rng, rng.choice([6, 7]), 9 * 60, 18 * 60, True)
        rows_v2.append(row)
        cases += attempts(f"busy day {number}", row, number, events, True)
    write(FOLDER / "data" / "example.jsonl", rows)
    write(FOLDER / "data" / "example_v2.jsonl", rows_v2)
    edge = [json.loads(line) for line in (FOLDER / "tests" / "edge_cases.jsonl").read_text(encoding="utf-8").splitlines()]
    write(FOLDER / "tests" / "cases.jsonl", cases + edge)


if __name__ == "__main__":
    main()
