//! What an application pays for what it does not use: heavy crates come only with their own feature.

use std::process::Command;

use crate::{Finding, Outcome, Workspace};

const RULE: &str = "trees";
const FACADE: &str = "stratacache";

/// A crate of the world, and the only features of the facade that may bring it.
const HEAVY: &[(&str, &[&str])] = &[
    ("redis", &["redis"]),
    ("tokio-postgres", &["postgres"]),
    ("stratacache-macros", &["macros"]),
    ("darling", &["macros"]),
    ("stratacache-encryption", &["encryption"]),
    ("zstd", &["zstd"]),
    ("opentelemetry", &["otlp"]),
    ("object_store", &["object"]),
    ("reqwest", &["object"]),
    ("hyper", &["object"]),
    ("rustls", &["redis", "object", "postgres"]),
    ("aws-lc-rs", &["redis", "object", "encryption", "postgres"]),
];

/// Lists the dependencies of the facade without features and with each feature that must not bring a heavy crate.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let mut found = Vec::new();
    let features = ["disk", "uuid", "mutants", "zstd", "redis", "object", "encryption", "macros", "otlp", "postgres"];
    let without: Vec<Option<&str>> = std::iter::once(None).chain(features.map(Some)).collect();
    for feature in without.iter().copied() {
        let tree = tree(workspace, feature)?;
        for (heavy, own) in HEAVY {
            let may = feature.is_some_and(|feature| own.contains(&feature));
            if !may && has(&tree, heavy) {
                let shown = feature.map_or("without features".to_owned(), |feature| format!("with `{feature}` alone"));
                let own = own.join("` and `");
                let message = format!("{FACADE} {shown} needs `{heavy}`, which only `{own}` may bring");
                found.push(Finding { file: "Cargo.toml".into(), line: 0, rule: RULE, message });
            }
            // a check that looks for the wrong name finds nothing, whatever is there
            if may && !has(&tree, heavy) {
                let feature = feature.unwrap_or_default();
                return Err(format!(
                    "the feature `{feature}` does not bring `{heavy}`: the list of heavy crates is wrong"
                ));
            }
        }
    }
    Ok((found, format!("{} trees, {} heavy crates", without.len(), HEAVY.len())))
}

fn tree(workspace: &Workspace, feature: Option<&str>) -> Result<String, String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(&workspace.root)
        .args(["tree", "--package", FACADE, "--edges", "normal", "--prefix", "none", "--no-default-features"])
        .args(feature.iter().flat_map(|feature| ["--features", feature]))
        .output()
        .map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Tells whether a crate is among the lines of a tree, each of which begins with a name.
fn has(tree: &str, name: &str) -> bool {
    tree.lines().any(|line| line.split(' ').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_found_by_its_whole_name() {
        let tree = "stratacache v0.1.0\nredis v1.8.1\nrediss v1\n";
        assert!(has(tree, "redis"));
        assert!(!has("stratacache v0.1.0\nrediss v1\nstratacache-redis v0.1.0", "redis"));
    }
}
