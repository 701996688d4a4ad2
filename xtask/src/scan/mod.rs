//! A small reader of Rust text: enough to see names, paths and items, no more.
//!
//! It is not a parser. Comments and literals are blanked out, items under `#[cfg(test)]` are set apart, and the rest is
//! cut into words and punctuation.

mod items;
mod mask;
mod paths;
mod source;
mod tests_apart;
mod tokens;

pub(crate) use items::public_items;
pub(crate) use mask::Masked;
pub(crate) use paths::{Imports, Mention, MentionKind, mentions};
pub(crate) use source::Source;
pub(crate) use tests_apart::{TestBlock, test_blocks};
pub(crate) use tokens::{Token, tokens};
