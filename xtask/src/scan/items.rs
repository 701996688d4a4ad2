//! The public signatures of a file.

use super::{Token, tests_apart::matching, tokens};

/// The part of a public item that its users can see.
#[derive(Debug)]
pub(crate) struct PublicItem<'a> {
    /// Line of its `pub`, from 1.
    pub(crate) line: usize,
    /// Its tokens after `pub`.
    pub(crate) tokens: Vec<Token<'a>>,
}

/// Finds the items marked `pub` without restriction, and their visible parts: signatures of functions, generics of
/// structs, public fields, whole enums and traits, types of constants, targets of `pub use`.
pub(crate) fn public_items(code: &str) -> Vec<PublicItem<'_>> {
    let all = tokens(code);
    let public = |at: &usize| all[*at].text == "pub" && all.get(at + 1).is_some_and(|next| next.text != "(");
    (0..all.len())
        .filter(public)
        .map(|at| PublicItem { line: all[at].line, tokens: all[at + 1..end(&all, at + 1)].to_vec() })
        .collect()
}

fn end(all: &[Token<'_>], first: usize) -> usize {
    let function = all[first..].iter().take(5).take_while(|token| token.is_word()).any(|token| token.text == "fn");
    let stops: &[&str] = match all[first].text {
        _ if function => &["{", ";"],
        "struct" | "union" => &["{", "(", ";"],
        "enum" | "trait" | "auto" => {
            return all[first..]
                .iter()
                .position(|t| t.text == "{")
                .map_or(all.len(), |open| matching(all, first + open));
        }
        "const" | "static" => &["=", ";"],
        "type" | "use" => &[";"],
        "mod" | "macro" | "extern" => &["{", ";"],
        _ => &[",", "}", ")", ";"], // a field
    };
    let mut at = first;
    while at < all.len() && !stops.contains(&all[at].text) {
        at = match all[at].text {
            "(" | "[" | "{" => matching(all, at),
            "<" => closing_angle(all, at),
            _ => at,
        } + 1;
    }
    at.min(all.len())
}

/// Returns the index of the `>` that closes the `<` at `open`; arrows do not count.
fn closing_angle(all: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for at in open..all.len() {
        match all[at].text {
            "<" => depth += 1,
            ">" if !matches!(all[at - 1].text, "-" | "=") => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            ";" | "{" => return open, // a comparison
            _ => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(code: &str) -> Vec<String> {
        public_items(code).iter().map(|i| i.tokens.iter().map(|t| t.text).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn bodies_and_private_fields_are_not_part_of_a_signature() {
        assert_eq!(
            seen("pub async fn a<T: B<C>>(d: [E; 2]) -> F where G: H { I; }"),
            ["async fn a < T : B < C > > ( d : [ E ; 2 ] ) - > F where G : H"]
        );
        assert_eq!(seen("pub struct A<B>(C, pub D<E, F>);"), ["struct A < B >", "D < E , F >"]);
        assert_eq!(
            seen("pub struct A { b: C, pub d: Fn(E) -> F, pub(crate) g: H }"),
            ["struct A", "d : Fn ( E ) - > F"]
        );
    }

    #[test]
    fn enums_and_traits_are_seen_whole() {
        assert_eq!(seen("pub enum A { B(C) } d"), ["enum A { B ( C )"]);
        assert_eq!(seen("pub trait A { fn b() -> C; }"), ["trait A { fn b ( ) - > C ;"]);
    }

    #[test]
    fn types_and_constants_end_where_their_value_begins() {
        assert_eq!(
            seen("pub const A: B = c(); pub type D = E<F>; pub use g::{h, i};"),
            ["const A : B", "type D = E < F >", "use g :: { h , i }"]
        );
    }
}
