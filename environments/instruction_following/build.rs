// SPDX-License-Identifier: Apache-2.0
//! Writes the word lists of NLTK's English model, which the crate `punkt_n` carries, as sorted arrays: `english.rs` in the
//! output folder, which `src/lexicon.rs` includes.
//!
//! The crate tells single words only, but its `Debug` form has them all: sets and maps of Rust's literals, whose texts
//! are of letters, digits and ASCII punctuation, and therefore JSON literals as well.

use std::{collections::BTreeMap, collections::BTreeSet, env, error::Error, fs, path::Path};

use punkt_n::TrainingData;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let all = format!("{:?}", TrainingData::english());
    let abbreviations = set(between(&all, "abbrevs: {", "}")?)?;
    let starters = set(between(&all, "sentence_starters: {", "}")?)?;
    let collocations: BTreeMap<String, serde_json::Value> = {
        // Sets in a map: `{"a": {"b", "c"}}`.
        let text = between(&all, "collocations: {", "}, sentence_starters")?.replace(": {", ": [").replace('}', "]");
        serde_json::from_str(&format!("{{{text}}}"))?
    };
    let seen: BTreeMap<String, u8> =
        serde_json::from_str(&format!("{{{}}}", between(&all, "orthographic_context: {", "}")?))?;
    let mut pairs = BTreeSet::new();
    for (word, next) in &collocations {
        for next in next.as_array().into_iter().flatten() {
            pairs.insert((word.as_str(), next.as_str().ok_or("a collocation is of texts")?));
        }
    }
    let (pairs, seen): (Vec<_>, Vec<_>) = (pairs.into_iter().collect(), seen.into_iter().collect());
    let source = format!(
        "pub(super) static ABBREVIATIONS: &[&str] = &{abbreviations:?};\n\
         pub(super) static STARTERS: &[&str] = &{starters:?};\n\
         pub(super) static COLLOCATIONS: &[(&str, &str)] = &{pairs:?};\n\
         pub(super) static SEEN: &[(&str, u8)] = &{seen:?};\n"
    );
    fs::write(Path::new(&env::var("OUT_DIR")?).join("english.rs"), source)?;
    Ok(())
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Result<&'a str, String> {
    let (_, rest) = text.split_once(before).ok_or_else(|| format!("the model has no `{before}`"))?;
    rest.split_once(after).map(|(part, _)| part).ok_or_else(|| format!("`{before}` has no end in the model"))
}

/// The members of a set, sorted.
fn set(members: &str) -> Result<Vec<String>, serde_json::Error> {
    let members: BTreeSet<String> = serde_json::from_str(&format!("[{members}]"))?;
    Ok(members.into_iter().collect())
}
