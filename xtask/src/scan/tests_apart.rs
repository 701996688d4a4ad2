//! Finds what is compiled for tests only.

use super::{Token, tokens};

/// An item under `#[cfg(test)]`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestBlock {
    /// Offsets from the attribute to the end of the item.
    pub(crate) bytes: std::ops::Range<usize>,
    /// First and last line, from 1.
    pub(crate) lines: (usize, usize),
    /// Name, when the item is a module.
    pub(crate) module: Option<String>,
    /// A module in a file of its own.
    pub(crate) out_of_line: bool,
}

/// Finds the items of masked text that are compiled for tests only.
pub(crate) fn test_blocks(code: &str) -> Vec<TestBlock> {
    let all = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < all.len() {
        match attribute(&all, at) {
            Some((true, _)) => return vec![block(all[at], all[all.len() - 1], (None, false))],
            Some((false, after)) => {
                let first = skip_attributes(&all, after);
                let last = end_of_item(&all, first);
                found.push(block(all[at], all[last], module(&all, first)));
                at = last + 1;
            }
            None => at += 1,
        }
    }
    found
}

fn block(first: Token<'_>, last: Token<'_>, (module, out_of_line): (Option<String>, bool)) -> TestBlock {
    TestBlock { bytes: first.at..last.at + last.text.len(), lines: (first.line, last.line), module, out_of_line }
}

fn is(all: &[Token<'_>], at: usize, text: &str) -> bool {
    all.get(at).is_some_and(|token| token.text == text)
}

/// Reads `#[cfg(test)]`, `#[cfg(all(test, ..))]` or their inner forms: whether it is inner, and what follows it.
fn attribute(all: &[Token<'_>], at: usize) -> Option<(bool, usize)> {
    let inner = is(all, at + 1, "!");
    let open = at + 1 + usize::from(inner);
    if !(is(all, at, "#") && is(all, open, "[") && is(all, open + 1, "cfg") && is(all, open + 2, "(")) {
        return None;
    }
    let test = is(all, open + 3, "test") && is(all, open + 4, ")");
    let and = is(all, open + 3, "all") && is(all, open + 5, "test");
    (test || and).then(|| (inner, matching(all, open) + 1))
}

/// Returns the index of the bracket that closes the one at `open`, or the last index.
pub(super) fn matching(all: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in all.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    all.len() - 1
}

fn skip_attributes(all: &[Token<'_>], mut at: usize) -> usize {
    while is(all, at, "#") && is(all, at + 1, "[") {
        at = matching(all, at + 1) + 1;
    }
    at.min(all.len() - 1)
}

fn end_of_item(all: &[Token<'_>], first: usize) -> usize {
    let keyword = all[first..].iter().find(|t| t.is_word() && !matches!(t.text, "pub" | "crate" | "super" | "in"));
    let (to_semicolon, field) = match keyword.map_or("", |t| t.text) {
        "use" | "const" | "static" | "let" | "type" => (true, false),
        "fn" | "mod" | "struct" | "enum" | "union" | "impl" | "trait" | "async" | "unsafe" | "extern"
        | "macro_rules" | "proptest" => (false, false),
        _ => (false, true), // a field, a variant, an arm or a statement
    };
    let mut at = first;
    while at < all.len() {
        match all[at].text {
            ";" => return at,
            "," if field => return at,
            "}" | ")" | "]" => return at.saturating_sub(1).max(first),
            "{" if !to_semicolon => return matching(all, at),
            "{" | "(" | "[" => at = matching(all, at),
            _ => {}
        }
        at += 1;
    }
    all.len() - 1
}

fn module(all: &[Token<'_>], first: usize) -> (Option<String>, bool) {
    let mut at = first;
    if is(all, at, "pub") {
        at += 1;
        if is(all, at, "(") {
            at = matching(all, at) + 1;
        }
    }
    if !is(all, at, "mod") {
        return (None, false);
    }
    (all.get(at + 1).map(|token| token.text.to_owned()), is(all, at + 2, ";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(code: &str) -> String {
        let mut left = code.to_owned();
        for block in test_blocks(code).into_iter().rev() {
            left.replace_range(block.bytes, "");
        }
        left.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn items_for_tests_are_set_apart_and_their_neighbours_stay() {
        assert_eq!(left("a(); #[cfg(test)] mod tests { fn b() { c(); } } d();"), "a(); d();");
        assert_eq!(left("#[cfg(test)] #[allow(x)] fn b<T, U>(t: [u8; 3]) { c(); } d();"), "d();");
        assert_eq!(left("#[cfg(test)] use a::{b, c}; d();"), "d();");
        assert_eq!(left("#[cfg(all(test, not(miri)))] mod tests { } d();"), "d();");
        assert_eq!(left("struct A { #[cfg(test)] b: C, d: E }"), "struct A { d: E }");
        assert_eq!(left("#![cfg(test)] fn a() {}"), "");
    }

    #[test]
    fn other_conditions_are_ordinary_code() {
        for code in ["#[cfg(any(test, feature = ))] mod a { }", "#[cfg(not(test))] mod a { }", "#[test] fn a() { }"] {
            assert_eq!(test_blocks(code), []);
        }
    }

    #[test]
    fn modules_are_named_with_their_lines() {
        let blocks = test_blocks("a();\n#[cfg(test)]\nmod tests {\n}\n#[cfg(test)]\npub(crate) mod kit;\n");
        let seen: Vec<_> = blocks.iter().map(|b| (b.module.as_deref(), b.out_of_line, b.lines)).collect();
        assert_eq!(seen, [(Some("tests"), false, (2, 4)), (Some("kit"), true, (5, 6))]);
    }
}
