// SPDX-License-Identifier: Apache-2.0
//! What the texts are made of.

/// Places of which facts are told.
pub(crate) const PLACES: [&str; 24] = [
    "old lighthouse",
    "north pier",
    "salt works",
    "bell tower",
    "post office",
    "upper mill",
    "glass house",
    "signal station",
    "dry dock",
    "town archive",
    "water tower",
    "fish market",
    "customs house",
    "rope walk",
    "east gate",
    "observatory",
    "tram depot",
    "stone bridge",
    "brick kiln",
    "ice cellar",
    "music hall",
    "seed store",
    "ferry landing",
    "clock workshop",
];

/// Things of which a place has one.
pub(crate) const THINGS: [&str; 12] = [
    "gate code",
    "call sign",
    "stock number",
    "locker code",
    "ledger mark",
    "radio word",
    "inspection seal",
    "parcel code",
    "key number",
    "permit number",
    "survey mark",
    "wagon number",
];

/// First halves of codes.
pub(crate) const BIRDS: [&str; 20] = [
    "heron", "curlew", "plover", "siskin", "bittern", "avocet", "merlin", "dunlin", "osprey", "wren", "linnet",
    "petrel", "garganey", "shrike", "tern", "wigeon", "whimbrel", "nuthatch", "redshank", "gannet",
];

pub(crate) const WHO: [&str; 16] = [
    "The harbour master",
    "A clerk",
    "The night watch",
    "An old carpenter",
    "The schoolteacher",
    "A visitor",
    "The ferryman",
    "Two apprentices",
    "The postmistress",
    "A surveyor",
    "The baker's son",
    "The choir",
    "A stray dog",
    "The gardener",
    "Some sailors",
    "The mayor",
];

pub(crate) const DID: [&str; 16] = [
    "walked along the quay",
    "counted the barrels twice",
    "complained about the wind",
    "repaired a broken shutter",
    "waited for the evening boat",
    "told the story of the flood",
    "lost a glove near the steps",
    "swept the yard",
    "wrote a long letter",
    "watched the gulls",
    "carried sacks uphill",
    "painted the railing green",
    "looked for the missing ladder",
    "shared a loaf of bread",
    "slept through the bells",
    "drew a map in the sand",
];

pub(crate) const WHEN: [&str; 12] = [
    "before sunrise",
    "in the afternoon",
    "after the rain",
    "on market day",
    "during the long frost",
    "late at night",
    "while the tide was out",
    "at noon",
    "in early spring",
    "as every week",
    "without a word",
    "for the third time",
];

pub(crate) const THEN: [&str; 12] = [
    "and nobody minded",
    "which was not unusual",
    "and then went home",
    "as the records say",
    "so the story goes",
    "although it was cold",
    "and the lamps were lit",
    "but the door stayed shut",
    "and so the day went by",
    "while the kettle sang",
    "and it was soon forgotten",
    "to everybody's surprise",
];
