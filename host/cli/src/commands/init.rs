// SPDX-License-Identifier: Apache-2.0
//! `gym-host init`: a new environment that builds, tests and serves at once.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use include_dir::{Dir, include_dir};

use crate::{
    args::InitArgs,
    failure::{CommandResult, Failure, of_file},
    places::Places,
    sdk::Sdk,
};

static RUST: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/rust");
static PYTHON: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/python");

pub(crate) fn run(arguments: &InitArgs, places: &Places) -> CommandResult {
    check_name(&arguments.name)?;
    let parent = match &arguments.directory {
        Some(directory) => places.current.join(directory),
        None if places.current.join("environments").is_dir() => places.current.join("environments"),
        None => places.current.clone(),
    };
    let folder = parent.join(&arguments.name);
    if folder.exists() {
        return Err(Failure::user(format!("{} exists already", folder.display()))
            .with_hint("choose another name, or --directory"));
    }
    let sdk = named(&Sdk::find(places)?, &folder);
    let template = if arguments.python { &PYTHON } else { &RUST };
    let manifest = parent.join("Cargo.toml");
    let workspace = std::fs::read_to_string(&manifest).ok().filter(|_| !arguments.python);
    let joined = workspace.and_then(|text| with_member(&text, &arguments.name));
    let values = [
        ("{{name}}", arguments.name.clone()),
        ("{{kebab}}", arguments.name.replace('_', "-")),
        ("{{type}}", type_name(&arguments.name)),
        ("{{sdk}}", sdk.join("guest-sdk/rust").display().to_string()),
        ("{{python_sdk}}", sdk.join("guest-sdk/python").display().to_string()),
        ("{{wit}}", sdk.join("wit").display().to_string()),
        ("{{workspace}}", if joined.is_some() { String::new() } else { STANDALONE.to_owned() }),
    ];
    write_template(template, &folder, &values, &arguments.name)
        .map_err(|error| Failure::infrastructure(format!("failed to write {}: {error}", folder.display())))?;
    if let Some(text) = joined {
        std::fs::write(&manifest, text)
            .map_err(|error| of_file(format!("failed to write {}: {error}", manifest.display()), &error))?;
        println!("joined  {}", manifest.display());
    }
    let name = shown(&folder, places, &arguments.name);
    println!("created {}", folder.display());
    println!("next:");
    println!("  gym-host build {name}");
    println!("  gym-host test {name}");
    println!("  gym-host serve --environment {name} --model-url http://127.0.0.1:8000/v1 --model MODEL");
    Ok(ExitCode::SUCCESS)
}

/// What an environment outside of a workspace needs: small code, and a workspace of its own.
const STANDALONE: &str = "
[profile.release]
opt-level = 3
lto = true
codegen-units = 1
panic = \"abort\"
strip = \"debuginfo\"

[workspace]
";

/// The manifest of a workspace in the folder above, with the new environment among its members; none if there is no
/// workspace, or none that lists one member a line.
fn with_member(manifest: &str, name: &str) -> Option<String> {
    let table: toml::Table = manifest.parse().ok()?;
    let members = table.get("workspace")?.get("members")?.as_array()?;
    if members.iter().any(|member| member.as_str().is_some_and(|member| member == "*" || member == name)) {
        return Some(manifest.to_owned());
    }
    let mut lines: Vec<&str> = manifest.lines().collect();
    let first = lines.iter().position(|line| line.trim_end() == "members = [")? + 1;
    let last = first + lines[first..].iter().position(|line| line.trim() == "]")?;
    let comes_after = |line: &&str| line.trim().trim_matches(['"', ',']) > name;
    let at = lines[first..last].iter().position(comes_after).map_or(last, |at| first + at);
    let line = format!("  \"{name}\",");
    lines.insert(at, &line);
    let text = lines.join("\n") + "\n";
    // What is not understood stays as it is.
    text.parse::<toml::Table>().ok().map(|_| text)
}

fn check_name(name: &str) -> Result<(), Failure> {
    let is_good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_good {
        return Ok(());
    }
    let suggestion: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect::<String>()
        .trim_matches('_')
        .to_owned();
    Err(Failure::user(format!("`{name}` cannot be the name of an environment"))
        .with_hint(format!("use lower-case letters, digits and `_`, a letter first, for example `{suggestion}`")))
}

/// `my_first` becomes `MyFirst`.
fn type_name(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
        })
        .collect()
}

/// The name where `gym-host` finds it from the current folder, its path otherwise.
fn shown(folder: &Path, places: &Places, name: &str) -> String {
    let found = places.environment(name).is_ok_and(|found| folder.canonicalize().is_ok_and(|path| path == found.path));
    if found { name.to_owned() } else { folder.display().to_string() }
}

/// Where the SDKs lie, as the new environment names it.
fn named(sdk: &Sdk, folder: &Path) -> PathBuf {
    // Inside the checkout paths are relative, so that the checkout can move.
    let is_inside = sdk.in_checkout && folder.parent() == Some(&sdk.base().join("environments"));
    if is_inside { PathBuf::from("../..") } else { sdk.base().to_owned() }
}

fn write_template(template: &Dir, folder: &Path, values: &[(&str, String)], name: &str) -> std::io::Result<()> {
    for file in files(template) {
        let relative = file.path().to_string_lossy().replace("config.yaml.template", &format!("{name}.yaml.template"));
        let target = folder.join(relative.strip_suffix(".template").unwrap_or(&relative));
        let mut text = file.contents_utf8().ok_or_else(|| std::io::Error::other("a template is not text"))?.to_owned();
        for (placeholder, value) in values {
            text = text.replace(placeholder, value);
        }
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(target, text)?;
    }
    std::fs::write(folder.join(".gitignore"), "/target\n*.wasm\nbindings.rs\n__pycache__/\n")
}

fn files<'a>(folder: &'a Dir<'a>) -> Vec<&'a include_dir::File<'a>> {
    let mut all: Vec<_> = folder.files().collect();
    for inner in folder.dirs() {
        all.extend(files(inner));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_a_better_one_is_suggested() {
        assert!(check_name("my_env2").is_ok());
        for (bad, better) in [("My-Env", "`my_env`"), ("2x", "a letter first"), ("", "a letter first")] {
            let failure = check_name(bad).unwrap_err();
            assert!(failure.hint.unwrap().contains(better), "{bad}");
        }
    }

    #[test]
    fn the_first_example_of_the_readme_is_what_is_written() {
        let source = RUST.get_file("src/lib.rs.template").and_then(|file| file.contents_utf8()).unwrap();
        let source = source.replace("{{type}}", "Counting");
        let (_, code) = source.split_once("\n\n").expect("the first line says what it is about");
        let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"));
        assert!(readme.contains(&format!("```rust\n{code}```")), "README.md has another text than\n{code}");
    }

    #[test]
    fn a_workspace_takes_the_new_environment_up() {
        let manifest = "[workspace]\nmembers = [\n  \"a\",\n  \"c\",\n]\n";
        for (name, expected) in [
            ("b", "[workspace]\nmembers = [\n  \"a\",\n  \"b\",\n  \"c\",\n]\n"),
            ("d", "[workspace]\nmembers = [\n  \"a\",\n  \"c\",\n  \"d\",\n]\n"),
            ("c", manifest),
        ] {
            assert_eq!(with_member(manifest, name).as_deref(), Some(expected), "{name}");
        }
        let all = "[workspace]\nmembers = [\"*\"]\n";
        assert_eq!(with_member(all, "b").as_deref(), Some(all));
        for other in ["[package]\nname = \"x\"\n", "[workspace]\nmembers = [\"a\"]\n", "[workspace", ""] {
            assert_eq!(with_member(other, "b"), None, "{other}");
        }
    }

    #[test]
    fn type_names_are_in_camel_case() {
        assert_eq!(type_name("my_first_env2"), "MyFirstEnv2");
        assert_eq!(type_name("a"), "A");
    }
}
