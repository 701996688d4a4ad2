//! Patterns against a matcher that tries everything, and against what hostile keys and patterns attempt.

use super::*;
use crate::{Key, KeyPart};
use proptest::prelude::*;

fn matches(pattern: &str, part: impl KeyPart) -> bool {
    let key: Key<()> = Key::new(part);
    Glob::new(pattern).unwrap().matches(&KeyView::of(key.as_bytes()).unwrap())
}

#[test]
fn each_sign_means_what_is_documented() {
    for (pattern, matching, other) in [
        ("user/*/theme", ("user", "42", "theme"), ("user", "42", "them")),
        ("user/4?/theme", ("user", "42", "theme"), ("user", "4", "theme")),
        ("**", ("a", "b", "c"), ("", "", "")),
        ("a/**", ("a", "b", "c"), ("b", "b", "c")),
        ("*/*/*", ("a", "", "c"), ("x", "y", "z")),
        ("[a-c]/[!a-c]/[xyz-]", ("b", "d", "-"), ("b", "b", "z")),
        (r"a\/b/\*/\[x\]", ("a/b", "*", "[x]"), ("a", "b", "x")),
        (r"\u{41}/**/[\]]", ("A", "x", "]"), ("A", "x", "[")),
    ] {
        assert!(matches(pattern, matching), "{pattern}");
        assert!(!matches(pattern, other) || ["**", "*/*/*"].contains(&pattern), "{pattern}");
    }
    assert!(matches("#1(*)/#0", (Some(7), None::<u8>)));
    assert!(matches("a/(*/c)", ("a", ("b", "c"))));
    assert!(matches("", "") && matches("*", "") && !matches("?", ""));
}

#[test]
fn no_key_looks_like_one_of_more_or_of_fewer_parts() {
    for key in ["user/42", r"user\/42", "user\u{2044}42", "(a)", "#0"] {
        assert!(
            !matches("user/42", key) && !matches("*/*", key) && !matches("(a)", key) && !matches("#0", key),
            "{key}"
        );
        assert!(matches("*", key));
    }
    assert!(!matches("*", ("a", "b")) && !matches("a*b", ("a", "b")) && !matches("a?b", ("a", "b")));
    assert!(!matches("a[/]b", ("a", "b")), "a class is of characters");
    assert!(matches("a[/]b", "a/b"));
}

#[test]
fn what_is_no_pattern_is_refused_with_a_reason() {
    let long = "ab".repeat(MOST);
    for (pattern, reason) in [
        ("a[b", "not closed"),
        ("[", "not closed"),
        ("[]", "nothing in it"),
        ("[z-a]", "backwards"),
        ("a\\", "escapes nothing"),
        ("[a\\", "escapes nothing"),
        ("#", "index"),
        ("#99999999999", "index"),
        (r"\u{d800}", "number of a character"),
        (r"\u{", "number of a character"),
        (&long, "256"),
    ] {
        let error = Glob::new(pattern).unwrap_err().to_string();
        assert!(error.contains(reason), "{pattern}: {error}");
    }
}

#[test]
fn a_pattern_that_is_made_to_be_slow_takes_a_bounded_number_of_steps() {
    // 64 stars against 60,000 characters: backtracking would take for ever, this takes 128 steps for each
    let pattern = "*a".repeat(64) + "b";
    assert!(!matches(&pattern, "a".repeat(60_000)));
    let pattern = "**?".repeat(64) + "/b";
    assert!(!matches(&pattern, "a".repeat(60_000)));
}

/// Tries everything.
fn naive(elements: &[Element], pieces: &[Piece]) -> bool {
    let Some((first, rest)) = elements.split_first() else { return pieces.is_empty() };
    let taken = || pieces.first().is_some_and(|piece| first.takes(*piece));
    if first.repeats() {
        return naive(rest, pieces) || (taken() && naive(elements, &pieces[1..]));
    }
    taken() && naive(rest, &pieces[1..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]
    #[test]
    fn it_matches_what_a_matcher_that_tries_everything_does(
        pattern in r"(\*|\*\*|\?|\[ab\]|\[!a\]|a|b|/|\\/|\\\*){0,8}",
        parts in proptest::collection::vec("[ab/*]{0,4}", 1..4),
    ) {
        let glob = Glob::new(&pattern).unwrap();
        let key: Key<()> = match &parts[..] {
            [one] => Key::new(one),
            [one, two] => Key::new((one, two)),
            all => Key::new((&all[0], &all[1], &all[2])),
        };
        let view = KeyView::of(key.as_bytes()).unwrap();
        let mut pieces = Vec::new();
        view.pieces(&mut |piece| pieces.push(piece));
        prop_assert_eq!(glob.matches(&view), naive(&glob.0, &pieces));
    }

    #[test]
    fn what_is_shown_of_a_key_is_a_pattern_of_it(a in ".{0,20}", b in any::<i64>(), c in any::<Option<Vec<u8>>>()) {
        let key: Key<()> = Key::new((&a, b, &c));
        let view = KeyView::of(key.as_bytes()).unwrap();
        let shown = view.to_string();
        if let Ok(glob) = Glob::new(&shown) {
            prop_assert!(glob.matches(&view), "{}", shown);
        }
    }

    #[test]
    fn no_pattern_makes_it_panic(pattern in ".{0,40}") {
        if let Ok(glob) = Glob::new(&pattern) {
            let _ = glob.matches(&KeyView::of(Key::<()>::new(("a", 1)).as_bytes()).unwrap());
        }
    }
}
