// SPDX-License-Identifier: Apache-2.0
//! One object with known fields: checked and written in one go.

use std::borrow::Cow;

use crate::{
    raw::write_string,
    scan::{self, Kind},
    validate::{self, Errors, Path},
};

/// The members of an object, split once.
pub(super) type Found<'a> = Vec<(Cow<'a, str>, &'a [u8])>;

/// A field of a record.
#[derive(Clone, Copy)]
pub(super) struct FieldRule {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) absent: Absent,
}

/// What happens to a field that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// An error.
    Required,
    /// It is written with this text. It may be `null`.
    Fill(&'static str),
    /// It is written with this text. It must not be `null`.
    Default(&'static str),
    /// It is not written.
    Leave,
}

/// What a value must be, and how it is written.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// Anything, unchanged.
    Any,
    /// A string.
    Text,
    /// A boolean, or what counts as one.
    Bool,
    /// A whole number, or what counts as one.
    Int,
    /// A number; written with a decimal point.
    Float,
    /// An object, unchanged.
    Object,
    /// A list, unchanged.
    List,
    /// A list of objects, unchanged.
    Objects,
    /// One of these strings.
    OneOf(&'static [&'static str], &'static str),
    /// What the function makes of it.
    With(fn(&[u8], &Path<'_>, &mut Vec<u8>, &mut Errors)),
}

/// What happens to members that no rule names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// They are not written.
    Drop,
    /// They are written last, as they came.
    Keep,
    /// They are errors.
    Forbid,
}

/// A field that must be there.
pub(super) const fn required(name: &'static str, shape: Shape) -> FieldRule {
    FieldRule { name, shape, absent: Absent::Required }
}

/// A field that is written as `null` when it is absent.
pub(super) const fn nullable(name: &'static str, shape: Shape) -> FieldRule {
    FieldRule { name, shape, absent: Absent::Fill("null") }
}

/// A field with a default.
pub(super) const fn filled(name: &'static str, shape: Shape, default: &'static str) -> FieldRule {
    FieldRule { name, shape, absent: Absent::Fill(default) }
}

/// A field with a default in place of which nobody may write `null`.
pub(super) const fn defaulted(name: &'static str, shape: Shape, default: &'static str) -> FieldRule {
    FieldRule { name, shape, absent: Absent::Default(default) }
}

/// A field that is written only if it came.
pub(super) const fn optional(name: &'static str, shape: Shape) -> FieldRule {
    FieldRule { name, shape, absent: Absent::Leave }
}

/// Splits an object; `None` for anything else.
pub(super) fn split(value: &[u8]) -> Option<Found<'_>> {
    (scan::kind(value) == Kind::Object).then(|| scan::members(value).collect())
}

/// The last member of that name.
pub(super) fn find<'a>(found: &Found<'a>, name: &str) -> Option<&'a [u8]> {
    found.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
}

/// More rules than any record has.
const MAX_RULES: usize = 48;

#[expect(clippy::too_many_arguments, reason = "all of them differ from call to call")]
/// Writes `found` by `rules`, without the opening brace and with `first` telling whether a comma is needed before the
/// first field. `object` is the text that `found` came from.
pub(super) fn write_fields(
    rules: &[FieldRule],
    others: Others,
    object: &[u8],
    found: &Found<'_>,
    first: &mut bool,
    path: &Path<'_>,
    out: &mut Vec<u8>,
    errors: &mut Errors,
) {
    let mut values: [Option<&[u8]>; MAX_RULES] = [None; MAX_RULES];
    let mut unnamed = Vec::new();
    // Senders dump their models in the order of the rules, so the next rule is nearly always the right one.
    let mut next = 0;
    for (name, value) in found {
        let hit = rules[next..].iter().position(|rule| rule.name == name).map(|at| at + next);
        match hit.or_else(|| rules[..next].iter().position(|rule| rule.name == name)) {
            Some(at) => {
                values[at] = Some(value);
                next = at + 1;
            }
            None if others != Others::Drop => unnamed.push((name, *value)),
            None => {}
        }
    }
    for (rule, value) in rules.iter().zip(values) {
        match (value, rule.absent) {
            (None, Absent::Required) => errors.missing(&Path::Name(path, rule.name), object),
            (None, Absent::Leave) => {}
            (None, Absent::Fill(default) | Absent::Default(default)) => {
                write_plain_name(rule.name, first, out);
                out.extend_from_slice(default.as_bytes());
            }
            (Some(value), absent) => {
                write_plain_name(rule.name, first, out);
                let may_be_null = matches!(absent, Absent::Fill(_) | Absent::Leave);
                if may_be_null && scan::kind(value) == Kind::Null {
                    out.extend_from_slice(b"null");
                } else {
                    rule.shape.write(value, &Path::Name(path, rule.name), out, errors);
                }
            }
        }
    }
    for (at, (name, value)) in unnamed.iter().enumerate() {
        if others == Others::Forbid {
            errors.forbidden(&Path::Name(path, name), value);
        } else if !unnamed[at + 1..].iter().take(64).any(|(later, _)| later == name) {
            write_name(name, first, out);
            out.extend_from_slice(value);
        }
    }
}

/// Writes a whole record.
pub(super) fn write_record(
    rules: &[FieldRule],
    others: Others,
    value: &[u8],
    path: &Path<'_>,
    out: &mut Vec<u8>,
    errors: &mut Errors,
) {
    let Some(found) = split(value) else { return errors.not_an_object(path, value) };
    out.push(b'{');
    write_fields(rules, others, value, &found, &mut true, path, out, errors);
    out.push(b'}');
}

/// Writes a name and the colon after it.
pub(super) fn write_name(name: &str, first: &mut bool, out: &mut Vec<u8>) {
    if !*first {
        out.push(b',');
    }
    *first = false;
    write_string(out, name);
    out.push(b':');
}

/// Writes a name that needs no escapes, and the colon after it.
fn write_plain_name(name: &str, first: &mut bool, out: &mut Vec<u8>) {
    let start: &[u8] = if *first { b"\"" } else { b",\"" };
    *first = false;
    out.extend_from_slice(start);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Writes a list, each element by `element`.
pub(super) fn write_list(
    value: &[u8],
    path: &Path<'_>,
    out: &mut Vec<u8>,
    errors: &mut Errors,
    element: impl Fn(&[u8], &Path<'_>, &mut Vec<u8>, &mut Errors),
) {
    if scan::kind(value) != Kind::Array {
        return errors.add("list_type", path, "Input should be a valid list", value);
    }
    out.push(b'[');
    for (index, item) in scan::elements(value).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        element(item, &Path::Index(path, index), out, errors);
    }
    out.push(b']');
}

impl Shape {
    fn write(self, value: &[u8], path: &Path<'_>, out: &mut Vec<u8>, errors: &mut Errors) {
        let kind = scan::kind(value);
        let coerced = match self {
            Self::Any => true,
            Self::With(write) => return write(value, path, out, errors),
            Self::Text => return validate::write_text(value, path, out, errors),
            Self::Bool => return validate::write_bool(value, path, out, errors),
            Self::Int => return validate::write_int(value, path, out, errors),
            Self::Float => return validate::write_float(value, path, out, errors),
            Self::Object if kind != Kind::Object => {
                return errors.add("dict_type", path, "Input should be a valid dictionary", value);
            }
            Self::List | Self::Objects if kind != Kind::Array => {
                return errors.add("list_type", path, "Input should be a valid list", value);
            }
            Self::Objects => {
                for (index, item) in scan::elements(value).enumerate() {
                    if scan::kind(item) != Kind::Object {
                        errors.not_an_object(&Path::Index(path, index), item);
                    }
                }
                true
            }
            Self::Object | Self::List => true,
            Self::OneOf(words, _) => scan::string(value).is_some_and(|word| words.contains(&word.as_ref())),
        };
        match self {
            Self::OneOf(_, expected) if !coerced => errors.literal(path, expected, value),
            _ => out.extend_from_slice(value),
        }
    }
}
