//! One file of a crate, read once.

use super::{Masked, TestBlock, test_blocks};

/// A Rust file.
pub(crate) struct Source {
    /// Path relative to the root of the workspace.
    pub(crate) path: String,
    /// Name of its crate.
    pub(crate) package: String,
    /// Path relative to the `src` folder, or `None` for tests, benches, examples and build scripts.
    pub(crate) in_src: Option<String>,
    /// As written.
    pub(crate) text: String,
    /// Without comments and contents of literals.
    pub(crate) code: String,
    /// Without comments.
    pub(crate) with_literals: String,
    /// Items for tests only.
    pub(crate) test_blocks: Vec<TestBlock>,
    /// The whole file is for tests.
    pub(crate) is_test: bool,
}

impl Source {
    /// Reads a file at `path`, relative to the root, of a crate in `folder`.
    pub(crate) fn new(package: &str, folder: &str, path: &str, text: String) -> Self {
        let inside = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/');
        let in_src = inside.strip_prefix("src/").map(str::to_owned);
        let Masked { code, with_literals } = Masked::new(&text);
        let test_blocks = test_blocks(&code);
        let is_test = inside.starts_with("tests/") || inside.ends_with("/tests.rs") || inside.contains("/tests/");
        Self {
            path: path.to_owned(),
            package: package.to_owned(),
            in_src,
            text,
            code,
            with_literals,
            test_blocks,
            is_test,
        }
    }

    /// Returns its module, outermost first; empty for `lib.rs`, `main.rs` and files outside of `src`.
    pub(crate) fn module(&self) -> Vec<String> {
        let inside = self.in_src.as_deref().unwrap_or("").trim_end_matches(".rs");
        let mut module: Vec<_> = inside.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod" || module.len() == 1 && (last == "lib" || last == "main")) {
            module.pop();
        }
        module
    }

    /// Returns the room it stands in: the first part of its module.
    pub(crate) fn room(&self) -> Option<String> {
        self.module().into_iter().next()
    }

    /// Tells whether it is, or lies in, a module of this name.
    pub(crate) fn is_in(&self, name: &str) -> bool {
        self.module().iter().any(|part| part == name)
    }

    /// Returns the code that ships: without comments, literals and tests.
    pub(crate) fn shipped(&self) -> String {
        self.without_tests(&self.code)
    }

    /// Returns the code that ships, with its literals.
    pub(crate) fn shipped_with_literals(&self) -> String {
        self.without_tests(&self.with_literals)
    }

    fn without_tests(&self, view: &str) -> String {
        if self.is_test || self.in_src.is_none() {
            return String::new();
        }
        let mut bytes = view.as_bytes().to_vec();
        for block in &self.test_blocks {
            for byte in bytes[block.bytes.clone()].iter_mut().filter(|byte| **byte != b'\n') {
                *byte = b' ';
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new("c", "crates/c", path, text.to_owned())
    }

    #[test]
    fn modules_follow_folders() {
        let module = |path| source(path, "").module().join("::");
        assert_eq!(module("crates/c/src/lib.rs"), "");
        assert_eq!(module("crates/c/src/a/mod.rs"), "a");
        assert_eq!(module("crates/c/src/a/b.rs"), "a::b");
        assert_eq!(module("crates/c/src/a/lib.rs"), "a::lib");
        assert_eq!(module("crates/c/tests/a.rs"), "");
    }

    #[test]
    fn tests_do_not_ship() {
        assert_eq!(
            source("crates/c/src/a.rs", "a\n#[cfg(test)]\nmod tests { b }\nc")
                .shipped()
                .split_whitespace()
                .collect::<String>(),
            "ac"
        );
        assert_eq!(source("crates/c/src/a/tests.rs", "a").shipped(), "");
        assert_eq!(source("crates/c/tests/a.rs", "a").shipped(), "");
        assert_eq!(source("crates/c/benches/a.rs", "a").shipped(), "");
        assert_eq!(source("crates/c/src/tests_of_time.rs", "a").shipped(), "a");
    }
}
