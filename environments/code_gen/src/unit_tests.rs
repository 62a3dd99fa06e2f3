// SPDX-License-Identifier: Apache-2.0
//! The tests of a row.

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use gym_env::{
    Fault,
    python::{self, Value},
};

/// Most bytes that packed tests may unpack to.
const UNPACKED_BYTES: usize = 96 << 20;

/// Inputs, what is expected for them, and what is to be called.
#[derive(Debug, PartialEq)]
pub(crate) struct UnitTests {
    /// As many as there are of both.
    pub(crate) cases: Vec<(String, String)>,
    /// None: the solution is a program that reads standard input.
    pub(crate) function: Option<String>,
}

impl UnitTests {
    /// Those of a row's `verifier_metadata`. A row without any cannot be graded.
    pub(crate) fn of(metadata: &Value) -> Result<Self, Fault> {
        let tests = metadata.get("unit_tests").ok_or_else(|| Fault::new("the row has no `unit_tests`"))?;
        let function = match tests.get("fn_name") {
            None | Some(Value::None) => None,
            Some(Value::Text(name)) => Some(name.clone()),
            Some(other) => return Err(Fault::new(format!("`fn_name` is of the type {}, not str", other.type_name()))),
        };
        let unpacked = tests.get("packed").map(unpacked).transpose()?;
        let tests = unpacked.as_ref().unwrap_or(tests);
        let cases = texts(tests, "inputs")?.into_iter().zip(texts(tests, "outputs")?).collect();
        Ok(Self { cases, function })
    }
}

/// `base64(zlib(json))`.
fn unpacked(packed: &Value) -> Result<Value, Fault> {
    let broken = |what: &str| Fault::new(format!("the row's packed tests are not {what}"));
    let text = packed.as_text().ok_or_else(|| broken("text"))?;
    // As Python's lenient decoder: what is not of the alphabet is passed over.
    let digits: Vec<u8> = text.bytes().filter(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/')).collect();
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let zipped =
        GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(digits).map_err(|_| broken("base64"))?;
    let json = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&zipped, UNPACKED_BYTES)
        .map_err(|_| broken("compressed by zlib, or too large"))?;
    let json = String::from_utf8(json).map_err(|_| broken("UTF-8"))?;
    python::loads(&json).map_err(|_| broken("JSON"))
}

fn texts(tests: &Value, name: &str) -> Result<Vec<String>, Fault> {
    let wrong = || Fault::new(format!("`{name}` of the row's tests is not a list of texts"));
    let Some(Value::List(items)) = tests.get(name) else { return Err(wrong()) };
    items.iter().map(|item| item.as_text().map(str::to_owned).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<UnitTests, Fault> {
        UnitTests::of(&python::loads(json).unwrap())
    }

    fn two(function: Option<&str>) -> UnitTests {
        let text = |text: &str| text.to_owned();
        UnitTests { cases: vec![(text("1"), text("2")), (text("3"), text("4"))], function: function.map(text) }
    }

    #[test]
    fn plain_and_packed_tests_are_the_same() {
        let plain = r#"{"unit_tests": {"inputs": ["1", "3"], "outputs": ["2", "4", "6"]}}"#;
        assert_eq!(of(plain), Ok(two(None)));
        // zlib of {"inputs":["1","3"],"outputs":["2","4"]} with a stored block.
        let json = br#"{"inputs":["1","3"],"outputs":["2","4"]}"#;
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(json, 6);
        let packed = base64::engine::general_purpose::STANDARD.encode(packed);
        let row = |packed: &str| format!(r#"{{"unit_tests": {{"packed": "{packed}", "fn_name": "f"}}}}"#);
        assert_eq!(of(&row(&packed)), Ok(two(Some("f"))));
        let broken_lines = packed.replace('=', "").replacen('e', "\\ne-", 1);
        assert_eq!(of(&row(&broken_lines)), Ok(two(Some("f"))));
    }

    #[test]
    fn rows_without_usable_tests_are_faults() {
        for row in [
            "null",
            "{}",
            r#"{"unit_tests": null}"#,
            r#"{"unit_tests": {"inputs": ["1"]}}"#,
            r#"{"unit_tests": {"inputs": ["1"], "outputs": [1]}}"#,
            r#"{"unit_tests": {"inputs": [], "outputs": [], "fn_name": 3}}"#,
            r#"{"unit_tests": {"packed": "A"}}"#,
            r#"{"unit_tests": {"packed": "AAAA"}}"#,
            r#"{"unit_tests": {"packed": 7}}"#,
        ] {
            assert!(of(row).is_err(), "{row}");
        }
    }
}
