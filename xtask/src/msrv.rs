//! The oldest Rust that builds us is stated once, inherited everywhere and told to people.

use std::{fs, process::Command};

use crate::{Finding, Outcome, Workspace};

const RULE: &str = "msrv";

/// Texts that may state the version; the first must.
const TEXTS: [&str; 3] = ["CONTRIBUTING.md", "README.md", "ARCHITECTURE.md"];

/// Checks manifests and texts against the root manifest, and the compiler in use against it.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let package = workspace.manifest.get("workspace").and_then(|workspace| workspace.get("package"));
    let stated = package.and_then(|package| package.get("rust-version")).and_then(toml::Value::as_str);
    let stated = stated.ok_or("Cargo.toml states no rust-version in [workspace.package]")?;
    let mut found = Vec::new();
    for each in &workspace.crates {
        if !inherits(&each.manifest) {
            let message = "does not inherit the version: write `rust-version.workspace = true`".to_owned();
            found.push(Finding { file: format!("{}/Cargo.toml", each.folder), line: 0, rule: RULE, message });
        }
    }
    for name in TEXTS {
        let path = workspace.root.join(name);
        if name == TEXTS[0] || path.is_file() {
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            found.extend(text_agrees(name, &text, stated));
        }
    }
    let used = compiler()?;
    let relation = match (minor(&used), minor(stated)) {
        (Some(used), Some(stated)) if used == stated => "exactly the stated one: this build checks the promise",
        (Some(used), Some(stated)) if used > stated => "newer than stated: this build does not check the promise",
        (Some(_), Some(_)) => {
            let message = format!("rustc {used} is older than the stated {stated}");
            found.push(Finding { file: "Cargo.toml".to_owned(), line: 0, rule: RULE, message });
            "too old"
        }
        _ => return Err(format!("cannot compare rustc {used} with rust-version {stated}")),
    };
    Ok((found, format!("stated {stated}; rustc {used} is {relation}")))
}

fn inherits(manifest: &toml::Table) -> bool {
    let version = manifest.get("package").and_then(|package| package.get("rust-version"));
    version.and_then(|version| version.get("workspace")).and_then(toml::Value::as_bool) == Some(true)
}

/// Compares every "Rust 1.N" of a text with the stated version.
fn text_agrees(name: &str, text: &str, stated: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut mentions = 0;
    for (at, line) in text.lines().enumerate() {
        for (start, _) in line.match_indices("Rust 1.") {
            let version = &line[start + "Rust ".len()..];
            let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
            let version = version[..end].trim_end_matches('.');
            mentions += 1;
            if version != stated {
                let message = format!("says Rust {version}, Cargo.toml says {stated}");
                found.push(Finding { file: name.to_owned(), line: at + 1, rule: RULE, message });
            }
        }
    }
    if mentions == 0 && name == TEXTS[0] {
        let message = format!("does not say which Rust is needed: write \"Rust {stated}\"");
        found.push(Finding { file: name.to_owned(), line: 0, rule: RULE, message });
    }
    found
}

fn compiler() -> Result<String, String> {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(program).arg("--version").output().map_err(|error| format!("rustc --version: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().nth(1).map(str::to_owned).ok_or_else(|| format!("rustc --version said {text:?}"))
}

/// Returns the major and minor number.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_says_another_version_is_refused() {
        let lines = |text| text_agrees("README.md", text, "1.95").into_iter().map(|f| f.line).collect::<Vec<_>>();
        assert_eq!(lines("Rust 1.95.\nRust 1.95 or newer"), [0; 0]);
        assert_eq!(lines("a\nRust 1.94, Rust 1.95"), [2]);
        assert_eq!(lines("needs Rust 1.95.1"), [1]);
    }

    #[test]
    fn the_guide_for_contributors_must_say_it() {
        assert_eq!(text_agrees("CONTRIBUTING.md", "nothing", "1.95").len(), 1);
        assert_eq!(text_agrees("README.md", "nothing", "1.95"), []);
    }

    #[test]
    fn a_crate_that_states_its_own_version_is_refused() {
        let inherits = |text: &str| super::inherits(&text.parse().unwrap());
        assert!(inherits("[package]\nrust-version.workspace = true"));
        assert!(!inherits("[package]\nrust-version = \"1.95\""));
        assert!(!inherits("[package]\nname = \"a\""));
    }

    #[test]
    fn versions_compare_by_their_first_two_numbers() {
        assert_eq!(minor("1.95.0"), minor("1.95"));
        assert!(minor("1.100.0-nightly") > minor("1.95"));
        assert_eq!(minor("new"), None);
    }
}
