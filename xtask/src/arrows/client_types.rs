//! Types of client libraries stay out of our public signatures.

use super::{Context, places::LIBRARIES};
use crate::{
    Finding,
    scan::{Token, public_items},
};

const CLIENTS: &[&str] = &["redis", "object_store", "fjall", "quick_cache", "tokio_postgres"];

/// Checks public signatures. Everything `pub` counts: what cannot be reached is marked `pub(crate)` in this house.
pub(super) fn check(context: &Context<'_>, found: &mut Vec<Finding>) {
    if !LIBRARIES.contains(&context.source.package.as_str()) {
        return;
    }
    for item in public_items(&context.code) {
        for (at, path) in paths(&item.tokens) {
            let full = context.imports.resolve(&path);
            let named = full.len() > 1 || item.tokens.first().is_some_and(|first| first.text == "use");
            if let Some(client) = full.first().filter(|first| named && CLIENTS.contains(&first.as_str())) {
                let message = format!("`{}` of `{client}` is in a public signature: wrap it", path.join("::"));
                let line = item.tokens.get(at).map_or(item.line, |token| token.line);
                found.push(context.finding(line, "client types", message));
            }
        }
    }
}

/// Returns the paths among tokens, single words included, and where each begins.
fn paths(tokens: &[Token<'_>]) -> Vec<(usize, Vec<String>)> {
    let is_mark = |at: Option<usize>| at.and_then(|at| tokens.get(at)).is_some_and(|token| token.text == "::");
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.is_word()) {
        let continues = is_mark(at.checked_sub(1)) && at.checked_sub(2).is_some_and(|before| tokens[before].is_word());
        if continues {
            continue;
        }
        let mut path = vec![token.text.to_owned()];
        let mut end = at + 1;
        while is_mark(Some(end)) && tokens.get(end + 1).is_some_and(Token::is_word) {
            path.push(tokens[end + 1].text.to_owned());
            end += 2;
        }
        found.push((at, path));
    }
    found
}

#[cfg(test)]
mod tests {
    fn lines(text: &str) -> Vec<usize> {
        super::super::try_rule("stratacache-redis", "src/a.rs", text, super::check)
    }

    #[test]
    fn client_types_are_refused_in_public_signatures() {
        for text in [
            "pub fn a(b: redis::Client) {}",
            "use redis::Client;\npub fn a() -> Option<Client> { b }",
            "use redis::Client as C;\npub struct A(pub C);",
            "pub struct A { pub b: Vec<fjall::Keyspace> }",
            "pub enum A { B(fjall::Error) }",
            "pub trait A { fn b(&self) -> object_store::Result<()>; }",
            "pub type A = quick_cache::sync::Cache<B, C>;",
            "pub use redis::Client;",
            "pub use redis;",
            "pub const A: redis::B = c();",
        ] {
            assert_eq!(lines(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn client_types_are_fine_inside() {
        for text in [
            "use redis::Client;\npub struct A(Client);",
            "pub struct A { b: fjall::Keyspace }",
            "pub(crate) fn a(b: redis::Client) {}",
            "pub fn a(redis: u8) { redis::b() }",
            "use redis::Client;\npub fn a(b: &str) -> C { Client::open(b) }",
        ] {
            assert_eq!(lines(text), [0; 0], "{text}");
        }
    }
}
