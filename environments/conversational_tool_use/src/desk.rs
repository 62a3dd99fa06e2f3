// SPDX-License-Identifier: Apache-2.0
//! The tools of the help desk, what they change, and which rules of the policy a change breaks.
//!
//! A tool refuses what cannot be done at all. What the policy forbids it does nevertheless, and notes: to obey is the
//! model's part.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    day::Day,
    world::{Claim, ClaimReason, Parcel, Status, World},
};

/// Fee for another address.
const ADDRESS_FEE_CENTS: i64 = 250;

/// Days after which nothing is delivered again.
const REDELIVERY_DAYS: i64 = 7;

/// Days during which damage can be claimed.
const DAMAGE_DAYS: i64 = 14;

/// The most that is paid for a parcel with and without insurance.
const MAX_INSURED_CENTS: i64 = 50_000;
const MAX_UNINSURED_CENTS: i64 = 4_000;

/// A rule of the policy that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Breach {
    /// Something was changed that the user had not been told of, by the number of the parcel, in an earlier message.
    Unconfirmed,
    /// Another address after the depot.
    AddressTooLate,
    /// A second delivery of a parcel whose first one did not fail.
    RedeliveryNotPossible,
    /// A second delivery on a Sunday, or not within the seven days after today.
    RedeliveryDay,
    /// A claim for a parcel that is neither lost nor freshly delivered, or the second one.
    ClaimNotCovered,
    /// A claim for another amount than the policy says.
    ClaimAmount,
    /// A cancellation of a parcel that was handed in.
    CancelledTooLate,
}

/// The state of the desk in one conversation.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) world: World,
    /// Who the user has shown to be.
    customer_id: Option<String>,
    pub(crate) transferred: bool,
    pub(crate) breaches: BTreeSet<Breach>,
    /// What the model has said so far, in small letters.
    said: String,
}

/// What the model reads when a call cannot be done.
type Outcome = Result<Value, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FindCustomer {
    customer_id: String,
    postcode: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfParcel {
    parcel_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeAddress {
    parcel_id: String,
    address: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redelivery {
    parcel_id: String,
    day: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileClaim {
    parcel_id: String,
    reason: ClaimReason,
    amount_cents: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    reason: String,
}

impl Desk {
    pub(crate) fn new(world: World) -> Self {
        Self { world, customer_id: None, transferred: false, breaches: BTreeSet::new(), said: String::new() }
    }

    /// The model said this to the user, who then answers.
    pub(crate) fn hear(&mut self, message: &str) {
        self.said.push_str(&message.to_lowercase());
        self.said.push('\n');
    }

    /// Whether the model has said this, in any case of letters.
    pub(crate) fn was_said(&self, text: &str) -> bool {
        self.said.contains(&text.to_lowercase())
    }

    /// Calls a tool; `None` if there is no such tool.
    pub(crate) fn call(&mut self, name: &str, arguments: &Value) -> Option<Outcome> {
        Some(match name {
            "find_customer" => read(arguments).and_then(|arguments| self.find_customer(&arguments)),
            "list_parcels" => read(arguments).and_then(|Nothing {}| self.list_parcels()),
            "get_parcel" => read(arguments).and_then(|arguments: OfParcel| self.get_parcel(&arguments.parcel_id)),
            "change_address" => read(arguments).and_then(|arguments| self.change_address(arguments)),
            "schedule_redelivery" => read(arguments).and_then(|arguments| self.schedule_redelivery(&arguments)),
            "file_claim" => read(arguments).and_then(|arguments| self.file_claim(&arguments)),
            "cancel_shipment" => read(arguments).and_then(|arguments: OfParcel| self.cancel(&arguments.parcel_id)),
            "transfer_to_human" => read(arguments).and_then(|arguments: Transfer| self.transfer(&arguments.reason)),
            _ => return None,
        })
    }

    fn find_customer(&mut self, arguments: &FindCustomer) -> Outcome {
        let found = self.world.customers.get(&arguments.customer_id);
        let customer = found.filter(|customer| customer.postcode == arguments.postcode.trim());
        let customer = customer.ok_or("no customer has this number and this postcode")?;
        self.customer_id = Some(arguments.customer_id.clone());
        Ok(json!({"customer_id": arguments.customer_id, "name": customer.name}))
    }

    fn list_parcels(&self) -> Outcome {
        let customer_id = self.customer_id.as_ref().ok_or(NOT_IDENTIFIED)?;
        let own = self.world.parcels.iter().filter(|(_, parcel)| parcel.customer_id == *customer_id);
        Ok(own
            .map(|(id, parcel)| json!({"parcel_id": id, "status": parcel.status, "address": parcel.address}))
            .collect())
    }

    fn get_parcel(&self, id: &str) -> Outcome {
        let mut shown = json!({"parcel_id": id});
        let parcel = serde_json::to_value(self.own(id)?).map_err(|error| error.to_string())?;
        if let (Value::Object(shown), Value::Object(parcel)) = (&mut shown, parcel) {
            shown.extend(parcel);
        }
        Ok(shown)
    }

    fn change_address(&mut self, arguments: ChangeAddress) -> Outcome {
        let address = arguments.address.trim().to_owned();
        if address.is_empty() {
            return Err("the address is empty".to_owned());
        }
        let status = self.own(&arguments.parcel_id)?.status;
        self.note(&arguments.parcel_id);
        self.breach_if(!matches!(status, Status::Registered | Status::InDepot), Breach::AddressTooLate);
        let parcel = self.own_mut(&arguments.parcel_id)?;
        parcel.address = address;
        parcel.fees_cents += ADDRESS_FEE_CENTS;
        Ok(json!({"done": true, "fee_cents": ADDRESS_FEE_CENTS}))
    }

    fn schedule_redelivery(&mut self, arguments: &Redelivery) -> Outcome {
        let day = Day::parse(arguments.day.trim()).ok_or("the day is written like 2026-03-11")?;
        let status = self.own(&arguments.parcel_id)?.status;
        self.note(&arguments.parcel_id);
        self.breach_if(status != Status::DeliveryFailed, Breach::RedeliveryNotPossible);
        let is_soon = (1..=REDELIVERY_DAYS).contains(&day.days_after(self.world.today));
        self.breach_if(!is_soon || day.is_sunday(), Breach::RedeliveryDay);
        let parcel = self.own_mut(&arguments.parcel_id)?;
        parcel.status = Status::RedeliveryPlanned;
        parcel.redelivery_day = Some(day);
        Ok(json!({"done": true}))
    }

    fn file_claim(&mut self, arguments: &FileClaim) -> Outcome {
        if arguments.amount_cents <= 0 {
            return Err("the amount must be above 0".to_owned());
        }
        let today = self.world.today;
        let parcel = self.own(&arguments.parcel_id)?.clone();
        self.note(&arguments.parcel_id);
        let is_covered = parcel.claim.is_none()
            && match arguments.reason {
                ClaimReason::Lost => parcel.status == Status::Lost,
                ClaimReason::Damaged => {
                    parcel.status == Status::Delivered
                        && parcel.delivery_day.is_some_and(|day| (0..=DAMAGE_DAYS).contains(&today.days_after(day)))
                }
            };
        self.breach_if(!is_covered, Breach::ClaimNotCovered);
        let most = if parcel.insured { MAX_INSURED_CENTS } else { MAX_UNINSURED_CENTS };
        self.breach_if(arguments.amount_cents != parcel.value_cents.min(most), Breach::ClaimAmount);
        self.own_mut(&arguments.parcel_id)?.claim =
            Some(Claim { reason: arguments.reason, amount_cents: arguments.amount_cents });
        Ok(json!({"done": true}))
    }

    fn cancel(&mut self, id: &str) -> Outcome {
        let status = self.own(id)?.status;
        if status == Status::Cancelled {
            return Err("the shipment is cancelled already".to_owned());
        }
        self.note(id);
        self.breach_if(status != Status::Registered, Breach::CancelledTooLate);
        let parcel = self.own_mut(id)?;
        parcel.status = Status::Cancelled;
        parcel.refunded_cents = parcel.postage_cents;
        Ok(json!({"done": true, "refunded_cents": parcel.refunded_cents}))
    }

    fn transfer(&mut self, reason: &str) -> Outcome {
        if reason.trim().is_empty() {
            return Err("say why".to_owned());
        }
        self.transferred = true;
        Ok(json!({"done": true}))
    }

    /// A parcel of the customer who was identified.
    fn own(&self, id: &str) -> Result<&Parcel, String> {
        let customer_id = self.customer_id.as_ref().ok_or(NOT_IDENTIFIED)?;
        let found = self.world.parcels.get(id).filter(|parcel| parcel.customer_id == *customer_id);
        found.ok_or_else(|| format!("the customer has no parcel `{id}`"))
    }

    fn own_mut(&mut self, id: &str) -> Result<&mut Parcel, String> {
        self.own(id)?;
        self.world.parcels.get_mut(id).ok_or_else(|| format!("the customer has no parcel `{id}`"))
    }

    /// Notes when a change comes before the user was told of it.
    fn note(&mut self, id: &str) {
        let was_told = self.was_said(id);
        self.breach_if(!was_told, Breach::Unconfirmed);
    }

    fn breach_if(&mut self, is_breach: bool, breach: Breach) {
        if is_breach {
            self.breaches.insert(breach);
        }
    }
}

const NOT_IDENTIFIED: &str = "identify the customer first";

fn read<T: DeserializeOwned>(arguments: &Value) -> Result<T, String> {
    T::deserialize(arguments).map_err(|error| format!("the arguments do not fit: {error}"))
}

/// The tools as a model server takes them.
pub(crate) fn tools() -> Result<Value, serde_json::Error> {
    serde_json::from_str(include_str!("../data/tools.json"))
}

#[cfg(test)]
mod tests;
