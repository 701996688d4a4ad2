//! Lengths of files.

use crate::{Finding, Workspace, scan::Source};

const RULE: &str = "sizes";
const MEDIAN: usize = 120;
const NINE_OF_TEN: usize = 400;
const MOST: usize = 800;
const LIB: usize = 100;
const INLINE_TESTS: usize = 150;

/// Checks the lengths of all files.
pub(crate) fn check(workspace: &Workspace) -> (Vec<Finding>, String) {
    judge(workspace.crates.iter().flat_map(|each| &each.sources))
}

fn judge<'a>(sources: impl Iterator<Item = &'a Source>) -> (Vec<Finding>, String) {
    let mut found = Vec::new();
    let mut lengths = Vec::new();
    for source in sources {
        let lines = lines_of_code(source);
        lengths.push((lines, source.path.clone()));
        of_file(source, lines, &mut found);
    }
    lengths.sort();
    let at = |part: usize| lengths.get((lengths.len() * part).div_ceil(10).saturating_sub(1)).map_or(0, |(n, _)| *n);
    let (median, ninth, most) = (at(5), at(9), lengths.last().cloned().unwrap_or_default());
    let mut refuse = |message| found.push(Finding { file: "(all files)".to_owned(), line: 0, rule: RULE, message });
    if median > MEDIAN {
        refuse(format!("the median file has {median} lines of code, at most {MEDIAN}: split by subject"));
    }
    if ninth > NINE_OF_TEN {
        refuse(format!("nine files of ten have up to {ninth} lines of code, at most {NINE_OF_TEN}: split the longest"));
    }
    let summary = format!(
        "{} files; lines of code: median {median}, 9 of 10 up to {ninth}, longest {} in {}",
        lengths.len(),
        most.0,
        most.1
    );
    (found, summary)
}

fn of_file(source: &Source, lines: usize, found: &mut Vec<Finding>) {
    let mut refuse = |line, message| found.push(Finding { file: source.path.clone(), line, rule: RULE, message });
    if lines > MOST {
        refuse(0, format!("{lines} lines of code, at most {MOST}: split by subject"));
    }
    let all = source.text.lines().count();
    if source.in_src.as_deref() == Some("lib.rs") && all > LIB {
        refuse(0, format!("lib.rs has {all} lines, at most {LIB}: docs, modules, one list of exports"));
    }
    for block in source.test_blocks.iter().filter(|block| block.module.is_some() && !block.out_of_line) {
        let length = block.lines.1 - block.lines.0 + 1;
        if length > INLINE_TESTS {
            refuse(
                block.lines.0,
                format!("{length} lines of inline tests, at most {INLINE_TESTS}: move to a sibling tests.rs"),
            );
        }
    }
}

/// Counts the lines that hold more than white space and comments.
fn lines_of_code(source: &Source) -> usize {
    source.with_literals.lines().filter(|line| !line.trim().is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new("c", "crates/c", &format!("crates/c/{path}"), text.to_owned())
    }

    fn refusals(sources: &[Source]) -> Vec<String> {
        judge(sources.iter()).0.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn comments_and_blank_lines_are_not_code() {
        assert_eq!(
            lines_of_code(&source("src/a.rs", "//! a\n\n/// b\nfn c() {} // d\n/* e\n */\nlet f = \"//\";\n")),
            2
        );
    }

    #[test]
    fn a_long_file_is_refused() {
        let of = |lines| {
            refusals(&[source("src/a.rs", &"a();\n".repeat(lines)), source("src/b.rs", ""), source("src/c.rs", "")])
        };
        assert_eq!(of(400), [""; 0]);
        assert_eq!(of(401).len(), 1); // a tenth of three files is one file
        assert_eq!(of(801).len(), 2);
    }

    #[test]
    fn the_median_is_bounded() {
        let files = |lines: usize| [0, lines, lines].map(|lines| source("src/a.rs", &"a();\n".repeat(lines)));
        assert_eq!(refusals(&files(120)), [""; 0]);
        assert_eq!(refusals(&files(121)).len(), 1);
    }

    #[test]
    fn the_root_of_a_crate_is_short() {
        assert_eq!(refusals(&[source("src/lib.rs", &"//! a\n".repeat(100))]), [""; 0]);
        assert_eq!(refusals(&[source("src/lib.rs", &"//! a\n".repeat(101))]).len(), 1);
    }

    #[test]
    fn long_inline_tests_are_refused() {
        let tests = |lines| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "// a\n".repeat(lines));
        assert_eq!(refusals(&[source("src/a.rs", &tests(147))]), [""; 0]);
        assert_eq!(refusals(&[source("src/a.rs", &tests(148))]).len(), 1);
    }
}
