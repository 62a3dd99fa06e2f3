// SPDX-License-Identifier: Apache-2.0
//! Overrides from the command line in Hydra's syntax: `key=value`, `+key=value`, `++key=value`, `~key`.
//!
//! The three ways to set a value do the same here: the value is merged into what is there, as in NeMo Gym, where the
//! command line is merged over everything else. Hydra's distinction between adding and changing exists to catch typing
//! errors; unknown names are found later, by the validation of what they are used for.

use crate::{
    elements,
    error::{ConfigError, ErrorKind, Origin},
    merge::{expand, merge},
    nearest,
    node::{Key, MAX_DEPTH, Map, Node, Path, Value},
};

/// One override, read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Override {
    path: Path,
    action: Action,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    /// Merge this value into what is there.
    Set(Node),
    /// Delete what is there; if a value is given, only if it is equal.
    Delete(Option<Node>),
}

/// An override that sets `key` to this text, whatever the text looks like.
pub fn text_override(key: &str, text: &str) -> String {
    // Backslashes count only before a quote, and so are doubled only there.
    let mut quoted = String::with_capacity(text.len() + 2);
    let mut backslashes = 0;
    for c in text.chars() {
        match c {
            '\\' => backslashes += 1,
            '\'' => {
                quoted.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        quoted.push(c);
    }
    quoted.extend(std::iter::repeat_n('\\', backslashes));
    format!("++{key}='{quoted}'")
}

/// Reads one override.
pub(crate) fn parse(text: &str) -> Result<Override, ConfigError> {
    let origin = Origin::command_line();
    let malformed = |key: &str, problem: String| {
        ConfigError::new(ErrorKind::MalformedOverride, key, &origin, problem).with_hint(
            match text.ends_with(".yaml") || text.ends_with(".yml") {
                true => format!("a configuration is named by `--config {text}`"),
                false => "overrides are `key=value`, `+key=value`, `++key=value` or `~key`".to_owned(),
            },
        )
    };
    let deletes = text.starts_with('~');
    let rest =
        text.strip_prefix("++").or_else(|| text.strip_prefix('+')).or_else(|| text.strip_prefix('~')).unwrap_or(text);
    let (key, value) = match rest.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value)),
        None => (rest.trim(), None),
    };
    let path = Path::parse(key)
        .filter(|path| path.0.len() < MAX_DEPTH && !key.contains(char::is_whitespace))
        .ok_or_else(|| malformed("", format!("`{key}` is not a key")))?;
    let value = value
        .map(|value| elements::parse(value, &origin))
        .transpose()
        .map_err(|problem| malformed(key, format!("the value is malformed: {problem}")))?;
    let action = match (deletes, value) {
        (true, value) => Action::Delete(value),
        (false, Some(value)) => Action::Set(value),
        (false, None) => return Err(malformed(key, "expected `=` and a value after the key".to_owned())),
    };
    Ok(Override { path, action })
}

impl Override {
    /// Whether it sets a value.
    pub(crate) fn sets(&self) -> bool {
        matches!(self.action, Action::Set(_))
    }

    /// Carries it out on a tree whose root is a map.
    pub(crate) fn apply(&self, root: &mut Node) -> Result<(), ConfigError> {
        let origin = Origin::command_line();
        let fail = |problem: String, hint: Option<String>| {
            Err(ConfigError::new(ErrorKind::MalformedOverride, &self.path, &origin, problem).with_hint(hint))
        };
        let (last, parents) = self.path.0.split_last().expect("`Path::parse` gives no empty path");
        match &self.action {
            Action::Delete(expected) => {
                let Some(found) = root.at(&self.path) else {
                    let parent = parents.iter().try_fold(&*root, |node, segment| node.child(segment));
                    let known = parent.and_then(Node::as_map).into_iter().flat_map(Map::keys).map(Key::as_str);
                    return fail("there is nothing to delete".to_owned(), nearest::did_you_mean(last, known));
                };
                if expected.as_ref().is_some_and(|expected| expected != found) {
                    return fail("the value to delete is not the one given".to_owned(), None);
                }
                crate::directives::remove(root, &self.path);
                Ok(())
            }
            Action::Set(value) => {
                if self.path.0.len() + value.depth() > MAX_DEPTH {
                    return fail(format!("the value would be nested deeper than {MAX_DEPTH} levels"), None);
                }
                self.follow_interpolations(root);
                let mut node = root;
                for segment in parents {
                    if !matches!(node.value, Value::List(_) | Value::Map(_)) {
                        *node = Node::empty_map(origin.clone());
                    }
                    if let Value::Map(entries) = &mut node.value {
                        entries.entry(Key::text(segment.as_str())).or_insert_with(|| Node::empty_map(origin.clone()));
                    }
                    node = match node.child_mut(segment) {
                        Some(node) => node,
                        None => return fail(format!("the list has no index `{segment}`"), None),
                    };
                }
                if !matches!(node.value, Value::List(_) | Value::Map(_)) {
                    *node = Node::empty_map(origin.clone());
                }
                match (node.child_mut(last), value) {
                    (Some(found), value) => merge(found, value.clone()),
                    (None, value) => match &mut node.value {
                        Value::Map(entries) => {
                            entries.insert(Key::text(last.as_str()), value.clone());
                        }
                        _ => return fail(format!("the list has no index `{last}`"), None),
                    },
                }
                Ok(())
            }
        }
    }

    /// Replaces interpolations on the way to the value by the maps that they stand for.
    fn follow_interpolations(&self, root: &mut Node) {
        for length in 1..self.path.0.len() {
            expand(root, &Path(self.path.0[..length].to_vec()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, read_yaml, writer::to_yaml};
    use proptest::prelude::*;

    fn applied(base: &str, overrides: &[&str]) -> Result<String, String> {
        let mut root = read_yaml(base, &Source::Caller).expect(base);
        for text in overrides {
            parse(text).and_then(|change| change.apply(&mut root)).map_err(|error| error.to_string())?;
        }
        Ok(to_yaml(&root))
    }

    #[test]
    fn overrides_reach_into_the_tree() {
        for (base, overrides, expected) in [
            ("a: 1", &["a=2"][..], "a: 2"),
            ("a: 1", &["+b=2", "++c=3", "d=4"], "a: 1\nb: 2\nc: 3\nd: 4"),
            ("a: {b: 1}", &["a.b=2", "+a.c.d=x"], "a: {b: 2, c: {d: x}}"),
            ("a: {b: 1}", &["++a={c: 2}"], "a: {b: 1, c: 2}"),
            ("a: [1, 2]", &["a=[3]"], "a: [3]"),
            ("a: [{b: 1}, 2]", &["a.0.b=5", "a[1]=6"], "a: [{b: 5}, 6]"),
            ("a: {b: 1, c: 2}", &["~a.b"], "a: {c: 2}"),
            ("a: {b: 1, c: 2}", &["~a.b=1"], "a: {c: 2}"),
            ("a: 1", &["a.b=2"], "a: {b: 2}"),
            ("a: null", &["a.b=2"], "a: {b: 2}"),
            ("x: {y: 1}\na: ${x}", &["a.b=2"], "x: {y: 1}\na: {y: 1, b: 2}"),
            ("a: 1", &["a=", "b=null", "c='null'"], "a: ''\nb: null\nc: 'null'"),
            (
                "",
                &["u=http://h:1/v1?x=y", "+config_paths=[a.yaml,b.yaml]"],
                "u: http://h:1/v1?x=y\nconfig_paths: [a.yaml, b.yaml]",
            ),
        ] {
            let expected = to_yaml(&read_yaml(expected, &Source::Caller).expect(expected));
            assert_eq!(applied(base, overrides), Ok(expected), "{base} {overrides:?}");
        }
    }

    #[test]
    fn malformed_overrides_say_what_is_wrong() {
        for (text, expected) in [
            ("a", "command line: `a`: expected `=` and a value after the key [MalformedOverrideError]"),
            ("=1", "command line: `` is not a key [MalformedOverrideError]"),
            ("a..b=1", "command line: `a..b` is not a key [MalformedOverrideError]"),
            ("a b=1", "command line: `a b` is not a key [MalformedOverrideError]"),
            (
                "a=[1",
                "command line: `a`: the value is malformed: expected `,` or `]` at character 3 [MalformedOverrideError]",
            ),
            ("~b", "command line: `b`: there is nothing to delete [MalformedOverrideError]"),
            ("~c=2", "command line: `c`: the value to delete is not the one given [MalformedOverrideError]"),
            ("l.5=1", "command line: `l.5`: the list has no index `5` [MalformedOverrideError]"),
        ] {
            assert_eq!(applied("c: 1\nl: [1]", &[text]), Err(expected.to_owned()), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_can_be_given_as_an_override(text in "[\\\\'\"\\[{,}$=a1 é]{0,12}") {
            let change = parse(&text_override("a.b", &text)).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let mut root = Node::empty_map(Origin::caller());
            change.apply(&mut root).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(root.at(&Path::of(["a", "b"])).and_then(Node::as_text), Some(text.as_str()));
        }
    }
}
