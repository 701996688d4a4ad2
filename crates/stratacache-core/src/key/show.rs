//! Keys as people read them: parts joined by slashes, with everything escaped that would look like something else.

use std::fmt;

use super::{
    decode::{PartDecoder, number},
    part::kinds,
    view::KeyView,
};

/// Groups nested deeper than this are shown as bytes.
const DEEPEST: usize = 32;

/// A piece of a key as it is shown: what joins parts is never mistaken for a character of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// A character of a part.
    Char(char),
    /// Between two parts.
    Separator,
    /// Around the members of a group within a key, and the fields of a variant.
    Open,
    Close,
    /// A variant of an enum, by its index.
    Variant(u32),
}

/// Characters that stand for something in what is shown, and in patterns.
pub(super) const SPECIAL: [char; 9] = ['/', '*', '?', '[', ']', '\\', '(', ')', '#'];

/// Tells whether a character would not be seen, or would change how others are.
fn is_hidden(c: char) -> bool {
    let hidden = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c.is_control() || hidden
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(c) if SPECIAL.contains(c) => write!(f, "\\{c}"),
            Self::Char(c) if is_hidden(*c) => write!(f, "\\u{{{:x}}}", u32::from(*c)),
            Self::Char(c) => write!(f, "{c}"),
            Self::Separator => f.write_str("/"),
            Self::Open => f.write_str("("),
            Self::Close => f.write_str(")"),
            Self::Variant(index) => write!(f, "#{index}"),
        }
    }
}

impl KeyView<'_> {
    /// Gives the pieces of the key's own part, in order.
    pub(super) fn pieces(&self, give: &mut dyn FnMut(Piece)) {
        let mut parts = self.part();
        let group = parts.group_bytes();
        members(group.map_or(self.part(), PartDecoder::new), DEEPEST, give);
    }
}

fn text(text: &str, give: &mut dyn FnMut(Piece)) {
    text.chars().for_each(|c| give(Piece::Char(c)));
}

fn members(mut parts: PartDecoder<'_>, depth: usize, give: &mut dyn FnMut(Piece)) {
    let mut first = true;
    while let Some(frame) = parts.frame() {
        if !std::mem::replace(&mut first, false) {
            give(Piece::Separator);
        }
        part(frame.kind, frame.bytes, depth, give);
    }
}

fn part(kind: u8, bytes: &[u8], depth: usize, give: &mut dyn FnMut(Piece)) {
    match (kind, std::str::from_utf8(bytes), number(bytes)) {
        (kinds::TEXT, Ok(said), _) => text(said, give),
        (kinds::UNSIGNED, _, Some(n)) => text(&n.to_string(), give),
        (kinds::SIGNED, _, Some(n)) => text(&format!("-{n}"), give),
        (kinds::BOOL, ..) => text(if bytes == [0] { "false" } else { "true" }, give),
        (kinds::UNIT, ..) => {
            give(Piece::Open);
            give(Piece::Close);
        }
        (kinds::GROUP, ..) if depth > 0 => {
            give(Piece::Open);
            members(PartDecoder::new(bytes), depth - 1, give);
            give(Piece::Close);
        }
        (kinds::VARIANT, ..) if depth > 0 => {
            let mut fields = PartDecoder::new(bytes);
            let index = fields.unsigned().and_then(|index| u32::try_from(index).ok());
            give(Piece::Variant(index.unwrap_or(u32::MAX)));
            if !fields.is_at_end() {
                give(Piece::Open);
                members(fields, depth - 1, give);
                give(Piece::Close);
            }
        }
        (kinds::UUID, ..) => {
            for (at, byte) in bytes.iter().enumerate() {
                text(if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" }, give);
                text(&format!("{byte:02x}"), give);
            }
        }
        _ => {
            text("0x", give);
            bytes.iter().for_each(|byte| text(&format!("{byte:02x}"), give));
        }
    }
}

/// Shows the key's own part, that of the keyspace left out: `("user", 42, "a/b")` as `user/42/a\/b`.
///
/// Members of a tuple are joined by `/`, tuples within it stand in `(..)`, variants are `#` and their index (`Some(7)` is `#1(7)`), `()` is `()`,
/// bytes are hexadecimal after `0x`. In texts, `/ * ? [ ] \ ( ) #` are escaped by `\`, and what cannot be seen is `\u{..}`. Types are
/// not shown: the number 42 and the text `42` look alike.
impl fmt::Display for KeyView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.pieces(&mut |piece| result = result.and_then(|()| piece.fmt(f)));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, KeyPart, Keyspace, Policy, minutes};

    fn shown(part: impl KeyPart) -> String {
        KeyView::of(Key::<()>::new(part).as_bytes()).unwrap().to_string()
    }

    #[test]
    fn keys_look_as_they_are_documented() {
        for (is, wanted) in [
            (shown(("user", 42, "theme")), "user/42/theme"),
            (shown("theme"), "theme"),
            (shown(("a/b", "*?[]\\()#")), r"a\/b/\*\?\[\]\\\(\)\#"),
            (shown(("a", ("b", "c"), ())), "a/(b/c)/()"),
            (shown((Some(7), None::<u8>)), "#1(7)/#0"),
            (shown((-5, true, b"\x00\xff")), "-5/true/0x00ff"),
            (shown(("", "")), "/"),
            (shown("line\nbreak\u{202e}"), r"line\u{a}break\u{202e}"),
            (shown("häß 🦀"), "häß 🦀"),
        ] {
            assert_eq!(is, wanted);
        }
    }

    #[test]
    fn the_keyspace_is_left_out() {
        const PAGES: Keyspace<(String, u32), u8> = Keyspace::new("pages", Policy::ttl(minutes(1)));
        let key = PAGES.key(&("x".to_owned(), 1));
        assert_eq!(KeyView::of(key.as_bytes()).unwrap().to_string(), "x/1");
    }

    #[test]
    fn a_key_that_is_nested_very_deeply_is_shown_all_the_same() {
        struct Deep(u32);
        impl KeyPart for Deep {
            fn encode(&self, parts: &mut crate::PartEncoder) {
                match self.0 {
                    0 => parts.unit(),
                    n => parts.group(|inner| Deep(n - 1).encode(inner)),
                }
            }
        }
        let shown = shown(Deep(500));
        assert!(shown.starts_with("((((") && shown.contains("0x"), "{shown}");
    }

    #[cfg(feature = "uuid")]
    #[test]
    fn ids_are_hyphenated() {
        let id = uuid::Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
        assert_eq!(shown(id), id.hyphenated().to_string());
    }
}
