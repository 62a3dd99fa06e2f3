// SPDX-License-Identifier: Apache-2.0
use super::*;

/// A desk with one parcel; `fields` are laid over it.
fn desk(fields: Value) -> Desk {
    let mut parcel = json!({
        "customer_id": "C1", "status": "registered", "address": "A", "postage_cents": 490, "value_cents": 60_000,
        "insured": true, "delivery_day": null, "redelivery_day": null, "fees_cents": 0, "refunded_cents": 0,
        "claim": null,
    });
    if let (Value::Object(parcel), Value::Object(fields)) = (&mut parcel, fields) {
        parcel.extend(fields);
    }
    let world = json!({
        "today": "2026-03-11",
        "customers": {"C1": {"name": "N", "postcode": "12345"}, "C2": {"name": "M", "postcode": "12345"}},
        "parcels": {"P1": parcel},
    });
    let mut desk = Desk::new(serde_json::from_value(world).unwrap());
    desk.hear("It is about p1.");
    call(&mut desk, "find_customer", json!({"customer_id": "C1", "postcode": " 12345"})).unwrap();
    desk
}

fn call(desk: &mut Desk, name: &str, arguments: Value) -> Outcome {
    desk.call(name, &arguments).expect("the tool exists")
}

fn breaches(desk: &Desk) -> Vec<Breach> {
    desk.breaches.iter().copied().collect()
}

#[test]
fn an_address_can_be_changed_until_the_depot() {
    for (status, expected) in [
        ("registered", vec![]),
        ("in_depot", vec![]),
        ("in_transit", vec![Breach::AddressTooLate]),
        ("delivered", vec![Breach::AddressTooLate]),
    ] {
        let mut desk = desk(json!({"status": status}));
        call(&mut desk, "change_address", json!({"parcel_id": "P1", "address": " B "})).unwrap();
        assert_eq!(breaches(&desk), expected, "{status}");
        assert_eq!((desk.world.parcels["P1"].address.as_str(), desk.world.parcels["P1"].fees_cents), ("B", 250));
    }
}

#[test]
fn a_second_delivery_is_within_seven_days_and_not_on_a_sunday() {
    for (status, day, expected) in [
        ("delivery_failed", "2026-03-12", vec![]),
        ("delivery_failed", "2026-03-18", vec![]),
        ("delivery_failed", "2026-03-19", vec![Breach::RedeliveryDay]),
        ("delivery_failed", "2026-03-11", vec![Breach::RedeliveryDay]),
        ("delivery_failed", "2026-03-15", vec![Breach::RedeliveryDay]),
        ("in_transit", "2026-03-12", vec![Breach::RedeliveryNotPossible]),
    ] {
        let mut desk = desk(json!({"status": status}));
        call(&mut desk, "schedule_redelivery", json!({"parcel_id": "P1", "day": day})).unwrap();
        assert_eq!(breaches(&desk), expected, "{status} {day}");
    }
}

#[test]
fn what_is_paid_follows_from_value_and_insurance() {
    for (fields, reason, amount, expected) in [
        (json!({"status": "lost"}), "lost", 50_000, vec![]),
        (json!({"status": "lost", "value_cents": 1_000}), "lost", 1_000, vec![]),
        (json!({"status": "lost", "insured": false}), "lost", 4_000, vec![]),
        (json!({"status": "lost"}), "lost", 60_000, vec![Breach::ClaimAmount]),
        (json!({"status": "lost"}), "damaged", 50_000, vec![Breach::ClaimNotCovered]),
        (json!({"status": "delivered", "delivery_day": "2026-02-25"}), "damaged", 50_000, vec![]),
        (
            json!({"status": "delivered", "delivery_day": "2026-02-24"}),
            "damaged",
            50_000,
            vec![Breach::ClaimNotCovered],
        ),
        (
            json!({"status": "lost", "claim": {"reason": "lost", "amount_cents": 1}}),
            "lost",
            50_000,
            vec![Breach::ClaimNotCovered],
        ),
    ] {
        let mut desk = desk(fields.clone());
        let arguments = json!({"parcel_id": "P1", "reason": reason, "amount_cents": amount});
        call(&mut desk, "file_claim", arguments).unwrap();
        assert_eq!(breaches(&desk), expected, "{fields} {reason} {amount}");
    }
}

#[test]
fn a_cancelled_shipment_is_refunded_once() {
    let mut registered = desk(json!({}));
    call(&mut registered, "cancel_shipment", json!({"parcel_id": "P1"})).unwrap();
    assert_eq!((breaches(&registered), registered.world.parcels["P1"].refunded_cents), (vec![], 490));
    assert!(call(&mut registered, "cancel_shipment", json!({"parcel_id": "P1"})).is_err());
    let mut late = desk(json!({"status": "lost"}));
    call(&mut late, "cancel_shipment", json!({"parcel_id": "P1"})).unwrap();
    assert_eq!(breaches(&late), [Breach::CancelledTooLate]);
}

#[test]
fn a_change_needs_an_earlier_word_of_it() {
    let mut desk = desk(json!({}));
    desk.said.clear();
    desk.hear("I will do it at once.");
    call(&mut desk, "cancel_shipment", json!({"parcel_id": "P1"})).unwrap();
    assert_eq!(breaches(&desk), [Breach::Unconfirmed]);
}

#[test]
fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let mut known = desk(json!({}));
    let before = known.world.clone();
    for (name, arguments) in [
        ("find_customer", json!({"customer_id": "C1", "postcode": "1"})),
        ("find_customer", json!({"customer_id": 1, "postcode": null})),
        ("get_parcel", json!({"parcel_id": "P2"})),
        ("get_parcel", json!(null)),
        ("list_parcels", json!({"all": true})),
        ("change_address", json!({"parcel_id": "P1", "address": "  "})),
        ("schedule_redelivery", json!({"parcel_id": "P1", "day": "2026-02-30"})),
        ("file_claim", json!({"parcel_id": "P1", "reason": "lost", "amount_cents": -5})),
        ("file_claim", json!({"parcel_id": "P1", "reason": "late", "amount_cents": 5})),
        ("file_claim", json!({"parcel_id": "P1", "reason": "lost", "amount_cents": 1e300})),
        ("transfer_to_human", json!({"reason": ""})),
    ] {
        assert!(call(&mut known, name, arguments.clone()).is_err(), "{name} {arguments}");
    }
    assert_eq!((breaches(&known), &known.world, known.transferred), (vec![], &before, false));
    assert_eq!(known.call("drop_everything", &json!({})), None);
    let mut unknown = Desk::new(before);
    for name in ["list_parcels", "get_parcel", "cancel_shipment"] {
        let arguments = if name == "list_parcels" { json!({}) } else { json!({"parcel_id": "P1"}) };
        assert_eq!(call(&mut unknown, name, arguments), Err(NOT_IDENTIFIED.to_owned()));
    }
    let mut other = known;
    call(&mut other, "find_customer", json!({"customer_id": "C2", "postcode": "12345"})).unwrap();
    assert!(call(&mut other, "get_parcel", json!({"parcel_id": "P1"})).is_err(), "it is somebody else's");
}

#[test]
fn every_tool_has_a_schema() {
    let tools = tools().unwrap();
    let mut desk = desk(json!({}));
    for tool in tools.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        assert!(desk.call(name, &json!({})).is_some(), "{name}");
        assert_eq!(
            tool["parameters"]["required"].as_array().unwrap().len(),
            tool["parameters"]["properties"].as_object().unwrap().len()
        );
    }
}
