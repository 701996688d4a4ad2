//! Reading encoded parts again: where each begins and ends.

use std::borrow::Cow;

use super::part::{PartEncoder, PartKind};

/// Makes another form of a text that means the same, such as its lower case.
pub type NormalizeText = fn(&str) -> Cow<'_, str>;

/// One encoded part.
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    /// Its bytes, without type and length.
    pub(super) bytes: &'a [u8],
    /// How many bytes it takes, with type and length.
    pub(super) length: usize,
}

/// Walks over parts that [`PartEncoder`] has written. Ends at the first byte that none has.
pub(super) struct Frames<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let (&[kind, short], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match short {
            u8::MAX => {
                let (long, rest) = rest.split_first_chunk()?;
                (usize::try_from(u64::from_le_bytes(*long)).ok()?, rest)
            }
            short => (usize::from(short), rest),
        };
        let (bytes, rest) = rest.split_at_checked(length)?;
        let frame = Frame { kind, bytes, length: self.0.len() - rest.len() };
        self.0 = rest;
        Some(frame)
    }
}

/// Writes parts once more, with every text in them in its normal form.
pub(super) fn normalize(parts: &[u8], text: NormalizeText, into: &mut PartEncoder) {
    for Frame { kind, bytes, .. } in Frames(parts) {
        match (PartKind::of(kind), std::str::from_utf8(bytes)) {
            (PartKind::Text, Ok(said)) => into.text(&text(said)),
            (PartKind::Nested, _) => into.nested(kind, |inner| normalize(bytes, text, inner)),
            _ => into.put(kind, bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyPart, encode_part};

    fn lower(text: &str) -> Cow<'_, str> {
        text.to_lowercase().into()
    }

    fn normalized(part: impl KeyPart) -> Vec<u8> {
        let mut into = PartEncoder::default();
        normalize(&encode_part(&part), lower, &mut into);
        into.finish().to_vec()
    }

    #[test]
    fn frames_take_up_every_byte_of_short_and_long_parts() {
        for length in [0, 1, 29, 30, 31, 253, 254, 255, 256, 70_000] {
            let parts = encode_part(&("x".repeat(length), 7, ("y", ())));
            let group: Vec<_> = Frames(&parts).collect();
            assert_eq!(group.len(), 1, "{length}");
            assert_eq!(group[0].length, parts.len());
            let members: Vec<_> = Frames(group[0].bytes).collect();
            assert_eq!(members.len(), 3);
            assert_eq!(members[0].bytes.len(), length);
            assert_eq!(members.iter().map(|m| m.length).sum::<usize>(), group[0].bytes.len());
        }
    }

    #[test]
    fn what_is_cut_off_ends_the_walk() {
        let parts = encode_part(&("abc", 7, "x".repeat(300)));
        for end in 0..parts.len() {
            assert_eq!(Frames(&parts[..end]).count(), 0);
        }
    }

    #[test]
    fn texts_are_normalized_at_every_depth_and_nothing_else_is() {
        let long = "ABC".repeat(100);
        let part = ("Ä", 65_u8, *b"AB", (&*long, ("C", true)), ());
        let same = ("ä", 65_u8, *b"AB", (&*long.to_lowercase(), ("c", true)), ());
        assert_eq!(normalized(part), encode_part(&same).to_vec());
        assert_eq!(normalized(*b"AB"), encode_part(b"AB").to_vec());
    }
}
