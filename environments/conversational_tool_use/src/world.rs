// SPDX-License-Identifier: Apache-2.0
//! What the help desk knows: customers and their parcels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::day::Day;

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct World {
    /// The day on which the conversation takes place.
    pub(crate) today: Day,
    pub(crate) customers: BTreeMap<String, Customer>,
    pub(crate) parcels: BTreeMap<String, Parcel>,
}

/// Somebody who sends parcels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customer {
    pub(crate) name: String,
    pub(crate) postcode: String,
}

/// A parcel. Amounts are in cents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parcel {
    pub(crate) customer_id: String,
    pub(crate) status: Status,
    pub(crate) address: String,
    pub(crate) postage_cents: i64,
    pub(crate) value_cents: i64,
    pub(crate) insured: bool,
    /// When it was delivered, or when that was tried in vain.
    pub(crate) delivery_day: Option<Day>,
    pub(crate) redelivery_day: Option<Day>,
    pub(crate) fees_cents: i64,
    pub(crate) refunded_cents: i64,
    pub(crate) claim: Option<Claim>,
}

/// Where a parcel is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Announced, not handed in yet.
    Registered,
    InDepot,
    InTransit,
    Delivered,
    DeliveryFailed,
    RedeliveryPlanned,
    Lost,
    Cancelled,
}

/// A demand for money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    pub(crate) reason: ClaimReason,
    pub(crate) amount_cents: i64,
}

/// Why money is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClaimReason {
    Lost,
    Damaged,
}
