// SPDX-License-Identifier: Apache-2.0

use super::*;

fn read(json: &str) -> Value {
    loads(json).unwrap()
}

#[test]
fn json_is_read_as_python_reads_it() {
    for (json, repr) in [
        (" [1, -2.50, 1e3, true, false, null] ", "[1, -2.5, 1000.0, True, False, None]"),
        ("[NaN, Infinity, -Infinity]", "[nan, inf, -inf]"),
        (r#"{"a": 1, "b": {}, "a": [2]}"#, "{'a': [2], 'b': {}}"),
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1e400", "inf"),
        (r#""\u00e9 \ud83d\ude00 \/""#, "'é 😀 /'"),
        (r#""it's""#, "\"it's\""),
        (r#""it's \"so\"""#, r#"'it\'s "so"'"#),
        (r#""\u0007\n\u00a0\u200b\\""#, r"'\x07\n\xa0\u200b\\'"),
        ("\"e\\u0301\"", "'e\u{301}'"),
    ] {
        assert_eq!(read(json).repr(), repr, "{json}");
    }
    assert_eq!(read(r#""a\ud800""#), Value::Text("a\u{fffd}".to_owned()));
    assert_eq!(read(r#""\ud800\u0041""#), Value::Text("\u{fffd}A".to_owned()));
}

#[test]
fn what_python_refuses_is_refused() {
    let long = "9".repeat(4301);
    for json in [
        "",
        " ",
        "[",
        "[1,]",
        "{\"a\"}",
        "{a: 1}",
        "{'a': 1}",
        "{\"a\":1,}",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1 2",
        "nul",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "[1}",
        "\u{a0}1",
        "\"a",
        "1e",
        long.as_str(),
    ] {
        assert!(loads(json).is_err(), "{json}");
    }
}

#[test]
fn nesting_has_a_bound() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(loads(&nested(400)).is_ok());
    assert!(loads(&nested(402)).is_err());
    assert!(loads(&"[{\"a\":".repeat(200_000)).is_err());
}

#[test]
fn values_compare_as_in_python() {
    for (left, right, equal) in [
        ("1", "1.0", true),
        ("1", "true", true),
        ("0.0", "false", true),
        ("\"1\"", "1", false),
        ("null", "false", false),
        ("NaN", "NaN", false),
        ("[NaN]", "[NaN]", true),
        (r#"{"a":1,"b":[2]}"#, r#"{"b":[2.0],"a":true}"#, true),
        (r#"{"a":1}"#, r#"{"a":1,"b":null}"#, false),
        ("[1,2]", "[1]", false),
        ("9007199254740993", "9007199254740992.0", false),
        ("9007199254740992", "9007199254740992.0", true),
        ("-1", "-1.0", true),
        ("0", "-0.0", true),
        ("1", "1.5", false),
        ("1", "NaN", false),
        (&format!("1{}", "0".repeat(400)), "1e400", false),
        ("1000000000000000000000000000000000000000000", "1e42", false),
        ("1000000000000000044885712678075916785549312", "1e42", true),
        ("1000000000000000000000000000000000000000000", "1000000000000000000000000000000000000000000", true),
        ("1000000000000000000000000000000000000000000", "-1000000000000000000000000000000000000000000", false),
    ] {
        assert_eq!(read(left) == read(right), equal, "{left} {right}");
    }
}

#[test]
fn whole_numbers_may_be_of_any_size() {
    let digits = format!("-{}", "7".repeat(4300));
    let large = read(&digits);
    assert_eq!((large.type_name(), large.is_truthy(), large.repr()), ("int", true, digits));
    assert_eq!(large.as_number(), Some(f64::NEG_INFINITY));
    assert_eq!(read("170141183460469231731687303715884105727").as_number(), Some(1.701_411_834_604_692_3e38));
    assert_eq!(read("170141183460469231731687303715884105728").type_name(), "int");
}

#[test]
fn values_become_json() {
    let odd = |number: f64| Json::from(if number.is_nan() { "nan" } else { "infinite" });
    for (value, json) in [
        (r#"{"a":[null,true,-1,1.5,"x"]}"#, r#"{"a":[null,true,-1,1.5,"x"]}"#),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "1.8446744073709552e19"),
        ("1000000000000000000000000000000000000000000", "1e42"),
        ("[NaN, -Infinity]", r#"["nan","infinite"]"#),
    ] {
        assert_eq!(read(value).to_json(odd), serde_json::from_str::<Json>(json).unwrap(), "{value}");
    }
    assert_eq!(read(&"9".repeat(400)).to_json(odd), "infinite");
}

#[test]
fn floats_are_printed_as_in_python() {
    for (number, text) in [
        (1.0, "1.0"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1.5e300, "1.5e+300"),
        (15.769_230_769_230_77, "15.76923076923077"),
    ] {
        assert_eq!(repr_float(number), text);
    }
}

#[test]
fn whole_numbers_are_read_as_by_int() {
    for (text, number) in [
        ("60", Some(60)),
        (" 60\n", Some(60)),
        ("+7", Some(7)),
        ("-7", Some(-7)),
        ("1_000", Some(1000)),
        ("007", Some(7)),
        ("\u{661}\u{660}", Some(10)),
        ("+-7", None),
        ("1__0", None),
        ("_1", None),
        ("6.0", None),
        ("", None),
        ("-", None),
        ("- 7", None),
        ("an hour", None),
        ("99999999999999999999999999999999999999999", Some(i128::MAX)),
    ] {
        assert_eq!(int(text), number, "{text}");
    }
}

#[test]
fn emptiness_is_false() {
    for (json, truth) in
        [("0", false), ("0.0", false), ("\"\"", false), ("[]", false), ("{}", false), ("NaN", true), ("\"0\"", true)]
    {
        assert_eq!(read(json).is_truthy(), truth, "{json}");
    }
}

#[test]
fn floats_are_read_from_what_python_reads_them() {
    for (text, number) in [
        (" 1.5 ", Some(1.5)),
        ("-.5e-3", Some(-0.0005)),
        ("+7.", Some(7.0)),
        ("1_000.2_5", Some(1000.25)),
        ("1e400", Some(f64::INFINITY)),
        ("-Infinity", Some(f64::NEG_INFINITY)),
        ("+inf", Some(f64::INFINITY)),
        ("\u{663}.\u{ff15}", Some(3.5)),
        ("1__0", None),
        ("_1", None),
        ("1_", None),
        ("1_.5", None),
        ("1e", None),
        ("e5", None),
        (".", None),
        ("", None),
        ("0x10", None),
        ("1,5", None),
        ("1 2", None),
        ("infinit", None),
    ] {
        assert_eq!(float(text), number, "{text}");
    }
    assert!(float("-NaN").is_some_and(f64::is_nan));
}

#[test]
fn lines_end_where_python_ends_them() {
    for (text, expected) in [
        ("a\nb\r\nc\rd", vec!["a", "b", "c", "d"]),
        ("a\n\nb\n", vec!["a", "", "b"]),
        ("a\u{2028}b\u{85}c\u{b}d\u{1d}", vec!["a", "b", "c", "d"]),
        ("", vec![]),
        ("\n", vec![""]),
    ] {
        assert_eq!(lines(text), expected, "{text:?}");
    }
}
