# SPDX-License-Identifier: Apache-2.0
"""Writes the world, the example tasks, and an attempt at each that is right and one that is wrong.

    python3 generate.py

The output follows from SEED.
"""

import json
import random
from pathlib import Path

SEED = 20260311
FOLDER = Path(__file__).parent
TODAY = "2026-03-11"

POLICY = f"""You work at the help desk of a parcel service. Today is {TODAY}, a Wednesday.

Rules:
1. Identify the customer by customer number and postcode before anything else.
2. Before you change anything, tell the customer what you are going to do, naming the number of the parcel, and wait for a yes.
3. Another address is possible while a parcel is `registered` or `in_depot`, not later. It costs 2.50 euros; say so first. Write the address on one line as the customer gives it.
4. A second delivery is possible for parcels with the status `delivery_failed`, on one of the seven days after today, not on a Sunday.
5. Money is paid for a parcel that is `lost`, or that was delivered damaged at most 14 days ago, and only once. The amount is the parcel's value, but at most 500 euros if it is insured and 40 euros if it is not. Tell the customer the amount.
6. A parcel that is `registered` can be cancelled; the postage is refunded. Nothing else can be cancelled.
7. What the rules do not allow you decline, and stay friendly. Do not hand it to a colleague.
8. Requests about anything but parcels (invoices, jobs, complaints about staff) you hand to a colleague with `transfer_to_human`, after the customer is identified.
Amounts in the tools are in cents."""

FIRST = ["Ada", "Bruno", "Carla", "Deniz", "Elif", "Frank", "Gitta", "Hanno", "Irma", "Jan", "Katja", "Lore"]
LAST = ["Amsel", "Brandt", "Cordes", "Dietz", "Ebert", "Fuchs", "Gerlach", "Horn", "Illing", "Jost", "Krause", "Lohmann"]
STREETS = ["Mill Lane", "Station Road", "Church Street", "Harbour Way", "Garden Row", "Castle Hill", "Long Acre"]
TOWNS = ["Aldern", "Brookfen", "Carrow", "Dunmere", "Eastwick", "Fallow"]


MATTERS = ["I need an invoice for all my parcels of last year.", "I would like to apply as a driver.",
           "Your driver was rude to my mother, I want to complain.", "Who do I talk to about advertising on your vans?",
           "My landlord wants to rent you a depot."]


def euros(cents):
    return f"{cents // 100}.{cents % 100:02d}"


def make_world(rng):
    customers, parcels = {}, {}
    first, last = rng.sample(FIRST, 12), rng.sample(LAST, 12)
    for index in range(12):
        customers[f"C{101 + index}"] = {"name": f"{first[index]} {last[index]}", "postcode": f"{rng.randint(10000, 99999)}"}
    kinds = ["registered", "in_depot", "in_transit", "delivered", "delivery_failed", "lost"]
    number = 1001
    for index, customer in enumerate(customers):
        for offset in range(4):
            status = kinds[(index + offset) % len(kinds)]
            day = None
            if status == "delivered":
                # Of those delivered every other one was long ago.
                day = f"2026-03-{rng.randint(1, 9):02d}" if index % 2 == 0 else f"2026-01-{rng.randint(5, 28):02d}"
            elif status == "delivery_failed":
                day = "2026-03-10"
            parcels[f"P{number}"] = {
                "customer_id": customer,
                "status": status,
                "address": address(rng),
                "postage_cents": rng.choice([490, 690, 1190]),
                "value_cents": rng.choice([2500, 8900, 31900, 74900]),
                "insured": rng.random() < 0.5,
                "delivery_day": day,
                "redelivery_day": None,
                "fees_cents": 0,
                "refunded_cents": 0,
                "claim": None,
            }
            number += 1
    return {"today": TODAY, "customers": customers, "parcels": parcels}


def address(rng):
    return f"{rng.choice(STREETS)} {rng.randint(1, 98)}, {rng.randint(10000, 99999)} {rng.choice(TOWNS)}"


def say(text):
    return {"text": text}


def call(name, **arguments):
    return {"calls": [{"name": name, "arguments": arguments}]}


class Scene:
    """A conversation with one customer about one parcel."""

    def __init__(self, world, parcel):
        self.parcel = parcel
        self.data = world["parcels"][parcel]
        self.customer_id = self.data["customer_id"]
        customer = world["customers"][self.customer_id]
        self.name, self.postcode = customer["name"], customer["postcode"]
        self.identity = f"My customer number is {self.customer_id} and my postcode is {self.postcode}."
        self.begin = [
            say("Happy to help. May I have your customer number and your postcode?"),
            call("find_customer", customer_id=self.customer_id, postcode=self.postcode),
            call("get_parcel", parcel_id=parcel),
        ]

    def instructions(self, text):
        return f"You are {self.name}. {self.identity} Your parcel has the number {self.parcel}. {text}"


def task(scene, wants, script, changes, perfect, wrong, mistake, must_say=(), transfer=False):
    return {
        "user_instructions": scene.instructions(wants),
        "user_script": script,
        "expected_changes": changes,
        "expected_transfer": transfer,
        "must_say": list(must_say),
        "perfect": perfect,
        "wrong": wrong,
        "mistake": mistake,
    }


def change_address(rng, world, parcel):
    s, new = Scene(world, parcel), address(rng)
    change = call("change_address", parcel_id=parcel, address=new)
    script = [f"Hi, I need parcel {parcel} to go somewhere else.", s.identity, f"Please send it to {new}.", "Yes, please.",
              "Thanks, that was all."]
    begin = s.begin + [say("Thank you. What is the new address?")]
    perfect = begin + [say(f"Parcel {parcel} will go to {new}. That costs 2.50 euros. Shall I do it?"), change,
                       say("Done, the new address is in place."), say("You are welcome.")]
    wrong = [s.begin[0], s.begin[1], change, say("Done."), say("It is changed."), say("Bye."), say("Bye.")]
    return task(s, f"You want it to go to another address: {new}. You accept the fee.", script,
                {parcel: {"address": new, "fees_cents": 250}}, perfect, wrong, "changed without telling the user first", ["2.50"])


def change_address_late(rng, world, parcel):
    s, new = Scene(world, parcel), address(rng)
    script = [f"Good morning. Could {parcel} go to {new}?", s.identity, "Really? It is important to me!", "Well, then not."]
    no = f"I am sorry, {parcel} is on its way already; its address cannot be changed any more."
    perfect = s.begin + [say(no), say("I understand, but it is too late for that."), say("Thank you for your patience.")]
    wrong = s.begin + [say(f"Parcel {parcel} can go to {new} for 2.50 euros. Shall I?"),
                       call("change_address", parcel_id=parcel, address=new), say("Done."), say("Bye.")]
    return task(s, f"You want it to go to another address: {new}. You ask once more when it is declined, then accept.", script,
                {}, perfect, wrong, "the address is changed although the parcel is on its way")


def redeliver(rng, world, parcel):
    s, day = Scene(world, parcel), rng.choice(["2026-03-13", "2026-03-14", "2026-03-16", "2026-03-17"])
    plan = call("schedule_redelivery", parcel_id=parcel, day=day)
    script = [f"I was not at home when you came with {parcel}. Can you come again on Sunday?", s.identity,
              f"Then on {day}, please.", "Yes.", "Great, bye!"]
    begin = s.begin + [say("We do not deliver on Sundays. Which other day in the next seven days would suit you?")]
    perfect = begin + [say(f"I will have {parcel} delivered again on {day}. Is that right?"), plan, say("It is planned."),
                       say("Goodbye!")]
    sunday = call("schedule_redelivery", parcel_id=parcel, day="2026-03-15")
    wrong = s.begin + [say(f"I will have {parcel} delivered on Sunday. All right?"), sunday, say("Done."), say("Done."), say("Bye.")]
    return task(s, f"Delivery failed yesterday. You would like a Sunday; if that is not possible, {day}.", script,
                {parcel: {"status": "redelivery_planned", "redelivery_day": day}}, perfect, wrong, "delivery on a Sunday")


def claim(rng, world, parcel):
    s = Scene(world, parcel)
    reason = "lost" if s.data["status"] == "lost" else "damaged"
    amount = min(s.data["value_cents"], 50_000 if s.data["insured"] else 4_000)
    pay = call("file_claim", parcel_id=parcel, reason=reason, amount_cents=amount)
    what = "never arrived" if reason == "lost" else "arrived in pieces"
    script = [f"My parcel {parcel} {what}. I want my money back.", s.identity, "All right, do it.", "Thanks."]
    perfect = s.begin + [say(f"I am sorry. For {parcel} we can pay {euros(amount)} euros. Shall I have it paid?"), pay,
                         say("It will be paid in the next days."), say("Goodbye.")]
    too_much = call("file_claim", parcel_id=parcel, reason=reason, amount_cents=amount + 1_000)
    wrong = s.begin + [say(f"For {parcel} we pay {euros(amount + 1_000)} euros. Shall I?"), too_much, say("Done."), say("Bye.")]
    return task(s, f"It {what}. You want to be paid and accept what the rules give.", script,
                {parcel: {"claim": {"reason": reason, "amount_cents": amount}}}, perfect, wrong, "too much is paid", [euros(amount)])


def claim_late(rng, world, parcel):
    s = Scene(world, parcel)
    script = [f"The vase in parcel {parcel} is broken, please pay for it.", s.identity, "That is a pity.", ]
    perfect = s.begin + [say(f"{parcel} was delivered on {s.data['delivery_day']}. Damage can only be claimed within 14 days."),
                         say("I am sorry that I cannot do more.")]
    amount = min(s.data["value_cents"], 50_000 if s.data["insured"] else 4_000)
    wrong = s.begin + [say(f"For {parcel} we pay {euros(amount)} euros."),
                       call("file_claim", parcel_id=parcel, reason="damaged", amount_cents=amount), say("Done.")]
    return task(s, "It arrived damaged weeks ago. You accept when it is declined.", script, {}, perfect, wrong,
                "money for damage that is too old")


def cancel(rng, world, parcel):
    s = Scene(world, parcel)
    refund = euros(s.data["postage_cents"])
    stop = call("cancel_shipment", parcel_id=parcel)
    script = [f"I do not want to send {parcel} any more.", s.identity, "Yes, cancel it.", "Perfect."]
    perfect = s.begin + [say(f"I can cancel {parcel}; you get {refund} euros back. Shall I?"), stop, say("It is cancelled."),
                         say("Goodbye.")]
    wrong = s.begin + [stop, say("It is cancelled."), say("Is there anything else?"), say("Bye.")]
    changes = {parcel: {"status": "cancelled", "refunded_cents": s.data["postage_cents"]}}
    return task(s, "You have not handed it in yet and want to cancel it.", script, changes, perfect, wrong,
                "cancelled without a yes")


def cancel_late(rng, world, parcel):
    s = Scene(world, parcel)
    script = [f"Stop {parcel}, please! I packed the wrong thing.", s.identity, "Can your boss do something?", "Fine."]
    perfect = s.begin + [say(f"{parcel} has been handed in already, so that it cannot be cancelled."),
                         say("The same rule holds for all of us, I am sorry."), say("Goodbye.")]
    wrong = s.begin + [say(f"{parcel} cannot be cancelled."),
                       call("transfer_to_human", reason="The customer insists."), say("A colleague takes over."), say("Bye.")]
    return task(s, "It was handed in, and you want it stopped. You ask for the boss once, then accept.", script, {}, perfect,
                wrong, "handed to a colleague although the rules say no")


def other_matter(rng, world, parcel):
    s = Scene(world, parcel)
    matter = MATTERS[int(parcel[1:]) % len(MATTERS)]
    script = [matter, s.identity, "Thank you."]
    perfect = s.begin[:2] + [call("transfer_to_human", reason=matter), say("I have handed this to a colleague."),
                             say("Goodbye.")]
    wrong = s.begin[:2] + [say("I have noted that."), say("Goodbye.")]
    return task(s, f"Your matter has nothing to do with that parcel: {matter}", script, {}, perfect, wrong,
                "not handed to a colleague", transfer=True)


def chosen(world, condition, count, taken):
    fitting = [name for name, parcel in world["parcels"].items() if condition(parcel) and name not in taken]
    picked = fitting[:count]
    assert len(picked) == count, "the world has too few parcels of a kind"
    taken.update(picked)
    return picked


def main():
    rng = random.Random(SEED)
    world = make_world(rng)
    status = lambda *names: lambda parcel: parcel["status"] in names
    recent = lambda parcel: parcel["status"] == "delivered" and parcel["delivery_day"] > "2026-03"
    old = lambda parcel: parcel["status"] == "delivered" and parcel["delivery_day"] < "2026-02"
    insured = lambda parcel: parcel["status"] == "lost" and parcel["insured"]
    uninsured = lambda parcel: parcel["status"] == "lost" and not parcel["insured"] and parcel["value_cents"] > 4_000
    plan = [
        (change_address, status("in_depot"), 3), (cancel, status("registered"), 3), (change_address, status("registered"), 1),
        (change_address_late, status("in_transit"), 3), (redeliver, status("delivery_failed"), 4), (claim, insured, 2),
        (claim, uninsured, 2), (claim, recent, 2), (claim_late, old, 2), (cancel_late, status("in_transit", "in_depot"), 2),
        (other_matter, status("delivery_failed", "registered", "in_depot"), 3),
    ]
    taken, tasks = set(), []
    for make, condition, count in plan:
        tasks.extend(make(rng, world, parcel) for parcel in chosen(world, condition, count, taken))
    rows, cases = [], []
    for index, made in enumerate(tasks):
        perfect, wrong, mistake = made.pop("perfect"), made.pop("wrong"), made.pop("mistake")
        rows.append({
            "responses_create_params": {"input": [{"role": "system", "content": POLICY},
                                                  {"role": "user", "content": made["user_script"][0]}]},
            **made,
        })
        expect = {"state_matches": True, "policy_breaches": [], "unsaid": [], "terminal_state": "user_done"}
        cases.append({"name": f"task {index}: by the rules", "kind": "perfect", "task": index, "turns": perfect, "reward": 1.0,
                      "expect": expect})
        cases.append({"name": f"task {index}: {mistake}", "kind": "wrong", "task": index, "turns": wrong, "reward": 0.0})
    assert len({row["user_script"][0] for row in rows}) == len(rows), "two tasks begin with the same words"
    (FOLDER / "data/world.json").write_text(json.dumps(world, indent=1) + "\n")
    write(FOLDER / "data/example.jsonl", rows)
    edge = (FOLDER / "tests/edge_cases.jsonl").read_text()
    write(FOLDER / "tests/cases.jsonl", cases, edge)


def write(path, rows, more=""):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows) + more)


if __name__ == "__main__":
    main()
