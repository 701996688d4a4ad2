//! The crates and files of the workspace.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::scan::{Source, test_blocks};

/// What there is.
pub(crate) struct Workspace {
    /// Folder of the root manifest.
    pub(crate) root: PathBuf,
    /// The root manifest.
    pub(crate) manifest: toml::Table,
    /// Every crate, by folder.
    pub(crate) crates: Vec<Crate>,
}

/// A crate of the workspace.
pub(crate) struct Crate {
    /// Name in its manifest.
    pub(crate) name: String,
    /// Folder, relative to the root.
    pub(crate) folder: String,
    /// Its manifest.
    pub(crate) manifest: toml::Table,
    /// Its Rust files.
    pub(crate) sources: Vec<Source>,
}

impl Workspace {
    /// Reads the workspace that this command belongs to.
    pub(crate) fn read() -> Result<Self, String> {
        // cargo sets it when it runs a program; the binary may be shared by several checkouts
        let root = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(own) => Path::new(&own).parent().map(Path::to_path_buf),
            None => std::env::current_dir().ok(),
        };
        let root = root.ok_or("no folder to look into: run it as `cargo xtask`")?;
        let manifest = read_manifest(&root.join("Cargo.toml"))?;
        let mut crates = Vec::new();
        for folder in ["crates", "examples"] {
            for path in entries(&root.join(folder))? {
                crates.extend(Crate::read(&root, &path)?);
            }
        }
        for folder in ["fuzz", "xtask"] {
            crates.extend(Crate::read(&root, &root.join(folder))?);
        }
        Ok(Self { root, manifest, crates })
    }
}

impl Crate {
    fn read(root: &Path, path: &Path) -> Result<Option<Self>, String> {
        if !path.join("Cargo.toml").is_file() {
            return Ok(None);
        }
        let manifest = read_manifest(&path.join("Cargo.toml"))?;
        let folder = relative(root, path);
        let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
        let name = name.ok_or_else(|| format!("{folder}/Cargo.toml names no package"))?.to_owned();
        let mut sources = Vec::new();
        for file in rust_files(path)? {
            let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            sources.push(Source::new(&name, &folder, &relative(root, &file), text));
        }
        mark_test_files(&mut sources);
        Ok(Some(Self { name, folder, manifest, sources }))
    }
}

/// Marks the files of modules that are declared under `#[cfg(test)]`.
fn mark_test_files(sources: &mut [Source]) {
    let mut modules = Vec::new();
    for source in sources.iter() {
        for block in test_blocks(&source.code).into_iter().filter(|block| block.out_of_line) {
            let mut module = source.module();
            module.extend(block.module);
            modules.push(module);
        }
    }
    for source in sources.iter_mut().filter(|source| source.in_src.is_some()) {
        let own = source.module();
        source.is_test |= modules.iter().any(|module| own.starts_with(module));
    }
}

fn read_manifest(path: &Path) -> Result<toml::Table, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.parse().map_err(|error| format!("{}: {error}", path.display()))
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

/// Returns what is in a folder, sorted; nothing when there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |error| format!("{}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        found.push(entry.map_err(failed)?.path());
    }
    found.sort();
    Ok(found)
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            // a nested crate is a crate of its own; `target` is not ours
            if !path.ends_with("target") && !path.join("Cargo.toml").is_file() {
                found.extend(rust_files(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_declared_for_tests_takes_its_files_with_it() {
        let source = |path: &str, text: &str| Source::new("c", "crates/c", path, text.to_owned());
        let mut sources = vec![
            source("crates/c/src/a/mod.rs", "#[cfg(test)] mod kit; mod real;"),
            source("crates/c/src/a/kit.rs", "a"),
            source("crates/c/src/a/kit/more.rs", "a"),
            source("crates/c/src/a/real.rs", "a"),
        ];
        mark_test_files(&mut sources);
        assert_eq!(sources.iter().map(|source| source.is_test).collect::<Vec<_>>(), [false, true, true, false]);
    }
}
