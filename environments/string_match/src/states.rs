// SPDX-License-Identifier: Apache-2.0
//! The states of the United States.

/// Names and abbreviations. Names of several words come first, so that `virginia` is not found in `west virginia`.
const STATES: [(&str, &str); 51] = [
    ("district of columbia", "DC"),
    ("new hampshire", "NH"),
    ("new jersey", "NJ"),
    ("new mexico", "NM"),
    ("new york", "NY"),
    ("north carolina", "NC"),
    ("north dakota", "ND"),
    ("rhode island", "RI"),
    ("south carolina", "SC"),
    ("south dakota", "SD"),
    ("west virginia", "WV"),
    ("alabama", "AL"),
    ("alaska", "AK"),
    ("arizona", "AZ"),
    ("arkansas", "AR"),
    ("california", "CA"),
    ("colorado", "CO"),
    ("connecticut", "CT"),
    ("delaware", "DE"),
    ("florida", "FL"),
    ("georgia", "GA"),
    ("hawaii", "HI"),
    ("idaho", "ID"),
    ("illinois", "IL"),
    ("indiana", "IN"),
    ("iowa", "IA"),
    ("kansas", "KS"),
    ("kentucky", "KY"),
    ("louisiana", "LA"),
    ("maine", "ME"),
    ("maryland", "MD"),
    ("massachusetts", "MA"),
    ("michigan", "MI"),
    ("minnesota", "MN"),
    ("mississippi", "MS"),
    ("missouri", "MO"),
    ("montana", "MT"),
    ("nebraska", "NE"),
    ("nevada", "NV"),
    ("ohio", "OH"),
    ("oklahoma", "OK"),
    ("oregon", "OR"),
    ("pennsylvania", "PA"),
    ("tennessee", "TN"),
    ("texas", "TX"),
    ("utah", "UT"),
    ("vermont", "VT"),
    ("virginia", "VA"),
    ("washington", "WA"),
    ("wisconsin", "WI"),
    ("wyoming", "WY"),
];

/// The text, which is in lower case, with names of states as their abbreviations in upper case.
pub(crate) fn abbreviated(text: &str) -> String {
    let mut text = text.to_owned();
    for (name, abbreviation) in STATES {
        if text.contains(name) {
            text = text.replace(name, abbreviation);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_abbreviations() {
        for (text, short) in [
            ("west virginia", "WV"),
            ("virginia", "VA"),
            ("arkansas and kansas", "AR and KS"),
            ("new york city", "NY city"),
            ("paris", "paris"),
        ] {
            assert_eq!(abbreviated(text), short, "{text}");
        }
    }
}
