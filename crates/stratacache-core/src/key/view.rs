//! An encoded key, taken apart.

use super::decode::PartDecoder;

/// An encoded key, taken apart: the keyspace it was made by, and its own part.
#[derive(Debug, Clone, Copy)]
pub struct KeyView<'a> {
    keyspace: Option<(&'a str, u32)>,
    part: &'a [u8],
}

impl<'a> KeyView<'a> {
    /// Takes a key apart; `None` for bytes that no key has.
    #[must_use]
    pub fn of(encoded: &'a [u8]) -> Option<Self> {
        let mut parts = PartDecoder::new(encoded);
        let first = parts.frame()?;
        if parts.is_at_end() {
            return Some(Self { keyspace: None, part: encoded });
        }
        // two parts in a row: only a keyspace makes them
        let (keyspace, part) = encoded.split_at(first.length);
        parts.frame()?;
        let mut name = PartDecoder::new(keyspace);
        let keyspace = name.variant(|version, fields| Some((fields.text()?, version)))?;
        parts.is_at_end().then_some(Self { keyspace: Some(keyspace), part })
    }

    /// Returns the name of its keyspace, if it has one.
    #[must_use]
    pub fn keyspace(&self) -> Option<&'a str> {
        self.keyspace.map(|(name, _)| name)
    }

    /// Returns the version of its keyspace; 0 without one.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.keyspace.map_or(0, |(_, version)| version)
    }

    /// Reads its own part, that of the keyspace left out.
    #[must_use]
    pub fn part(&self) -> PartDecoder<'a> {
        PartDecoder::new(self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecodePart, Key, Keyspace, Policy, minutes};

    const PAGES: Keyspace<(String, u32), u8> = Keyspace::new("pages", Policy::ttl(minutes(1))).version(3);
    const OTHERS: Keyspace<(String, u32), u8> = Keyspace::new("pages", Policy::ttl(minutes(1))).version(4);

    #[test]
    fn a_key_says_which_keyspace_it_is_of_and_is_restored_by_no_other() {
        let key = PAGES.key(&("a/b".to_owned(), 7));
        let view = KeyView::of(key.as_bytes()).unwrap();
        assert_eq!((view.keyspace(), view.version()), (Some("pages"), 3));
        assert_eq!(<(String, u32)>::decode(&mut view.part()), Some(("a/b".to_owned(), 7)));
        assert!(PAGES.info().restore(key.as_bytes()).is_some_and(|restored| restored == key));
        assert!(OTHERS.info().restore(key.as_bytes()).is_none());
    }

    #[test]
    fn a_key_without_a_keyspace_never_looks_like_one_with() {
        let plain: Key<u8> = Key::new(("pages", 7));
        let view = KeyView::of(plain.as_bytes()).unwrap();
        assert_eq!((view.keyspace(), view.version()), (None, 0));
        assert!(PAGES.info().restore(plain.as_bytes()).is_none());
    }

    #[test]
    fn what_is_cut_off_is_no_key() {
        let key = PAGES.key(&("a".to_owned(), 7));
        let prefix = KeyView::of(key.as_bytes()).unwrap();
        let name = key.as_bytes().len() - prefix.part.len();
        for end in (0..key.as_bytes().len()).filter(|end| *end != name) {
            assert!(KeyView::of(&key.as_bytes()[..end]).is_none(), "{end}");
        }
    }
}
