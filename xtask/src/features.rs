//! Each published crate builds without features and with each feature alone.

use std::{path::Path, process::Command};

use crate::{Finding, Outcome, Workspace};

/// Builds every combination and reports those that fail or warn.
///
/// The builds go through clippy: it does what `cargo check` does and can refuse warnings without other compiler flags,
/// which would build every dependency again.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let builds = builds(&metadata(&workspace.root)?)?;
    let mut found = Vec::new();
    for build in &builds {
        println!("  {build}");
        let status = command(&workspace.root)
            .args(["clippy", "--quiet", "--no-deps", "--package", &build.package, "--no-default-features"])
            .args(build.feature.iter().flat_map(|feature| ["--features", feature]))
            .args(["--", "--deny", "warnings"])
            .status()
            .map_err(|error| format!("cargo: {error}"))?;
        if !status.success() {
            let message = format!("{build} does not build without warnings: {status}");
            found.push(Finding { file: build.package.clone(), line: 0, rule: "features", message });
        }
    }
    Ok((found, format!("{} builds", builds.len())))
}

fn command(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

fn metadata(root: &Path) -> Result<serde_json::Value, String> {
    let output = command(root)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// One combination.
#[derive(Debug, PartialEq, Eq)]
struct Build {
    package: String,
    feature: Option<String>,
}

impl std::fmt::Display for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.feature {
            Some(feature) => write!(f, "{} with `{feature}` alone", self.package),
            None => write!(f, "{} without features", self.package),
        }
    }
}

/// Lists the combinations of the packages that may be published.
fn builds(metadata: &serde_json::Value) -> Result<Vec<Build>, String> {
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let mut found = Vec::new();
    // `publish` is null for everywhere, and an empty list for nowhere
    for package in packages.iter().filter(|package| package["publish"].as_array().is_none_or(|to| !to.is_empty())) {
        let name = package["name"].as_str().ok_or("a package without a name")?;
        let features = package["features"].as_object().ok_or("a package without a table of features")?;
        let alone = features.keys().filter(|feature| *feature != "default").cloned().map(Some);
        found.extend([None].into_iter().chain(alone).map(|feature| Build { package: name.to_owned(), feature }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_a_published_crate_is_built_alone() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "a", "publish": null, "features": { "default": ["x"], "x": [], "y": ["dep:b"] } },
            { "name": "b", "publish": [], "features": { "z": [] } },
            { "name": "c", "publish": ["somewhere"], "features": {} },
        ] });
        let shown: Vec<_> = builds(&metadata).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a without features", "a with `x` alone", "a with `y` alone", "c without features"]);
    }

    #[test]
    fn unexpected_metadata_is_an_error_and_not_an_empty_list() {
        assert!(builds(&serde_json::json!({})).is_err());
        assert!(builds(&serde_json::json!({ "packages": [{ "name": "a" }] })).is_err());
    }
}
