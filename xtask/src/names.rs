//! Tests that the texts name, and whether there are such tests.

use std::{collections::BTreeSet, fs};

use crate::{Finding, Outcome, Workspace};

const RULE: &str = "names";

/// The texts that say which test guards what.
const TEXTS: [&str; 1] = ["docs/races.md"];

/// Looks for every test that a text names.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let tests: BTreeSet<&str> =
        workspace.crates.iter().flat_map(|each| &each.sources).flat_map(|source| tests(&source.code)).collect();
    let (mut found, mut count) = (Vec::new(), 0);
    for file in TEXTS {
        let path = workspace.root.join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        for (line, name) in named(&text) {
            count += 1;
            if !tests.contains(name) {
                let message = format!("there is no test `{name}`");
                found.push(Finding { file: file.to_owned(), line, rule: RULE, message });
            }
        }
    }
    Ok((found, format!("{count} tests named in {} texts, {} tests in all", TEXTS.len(), tests.len())))
}

/// Returns the names of the functions that are tests: those under an attribute that ends with `test` or begins with it.
fn tests(code: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    code.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(attribute) = line.strip_prefix("#[") {
            marked |= attribute.starts_with("test]") || attribute.starts_with("tokio::test");
            return None;
        }
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
        let name = function.split(['(', '<']).next()?;
        std::mem::take(&mut marked).then_some(name)
    })
}

/// Returns the names in code spans of a text that look like sentences, with their lines.
fn named(text: &str) -> impl Iterator<Item = (usize, &str)> {
    const WORDS: usize = 4;
    let is_sentence = |span: &&str| {
        span.matches('_').count() + 1 >= WORDS
            && span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.lines().enumerate().flat_map(move |(line, text)| {
        text.split('`').skip(1).step_by(2).filter(is_sentence).map(move |n| (line + 1, n))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_marked_as_tests_are_tests() {
        let code = "#[test]\nfn a_b_c_d() {}\nfn helper_of_the_tests() {}\n    #[tokio::test(start_paused = true)]\n    #[ignore]\n    async fn e_f_g_h() {}";
        assert_eq!(tests(code).collect::<Vec<_>>(), ["a_b_c_d", "e_f_g_h"]);
    }

    #[test]
    fn sentences_are_told_from_other_code() {
        let text = "see `stale_if_error` and\n| `one_fault_never_wins`, `a::b_c_d_e`";
        assert_eq!(named(text).collect::<Vec<_>>(), [(2, "one_fault_never_wins")]);
    }
}
