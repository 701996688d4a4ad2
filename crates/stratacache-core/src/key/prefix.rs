//! Leading parts of the keys of a keyspace, which can be invalidated together.

use std::fmt;

use super::{
    KeyPart, Keyspace, PartBuf, PartEncoder,
    frames::{Frame, Frames, normalize},
    keyspace::KeyspaceInfo,
    part::PartKind,
};
use crate::{Error, Result, follow::KeyspaceShape};

/// The most leading parts a keyspace can declare: tuples have at most eight parts, and all of them are a key.
pub const MAX_PREFIX: u8 = 7;

/// Leading parts of keys that are tuples `K`: a tuple of fewer parts, of the same types.
///
/// Implemented for all tuples that can be; not to be implemented elsewhere.
pub trait LeadingParts<K>: KeyPart + sealed::Sealed {
    /// How many there are.
    const PARTS: u8;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! leading {
    ($($parts:literal: $($lead:ident)* | $($rest:ident)*;)*) => {$(
        impl<$($lead: KeyPart,)* $($rest),*> LeadingParts<($($lead,)* $($rest,)*)> for ($($lead,)*) {
            const PARTS: u8 = $parts;
        }
    )*};
}

macro_rules! sealed {
    ($($($lead:ident)*;)*) => {$(
        impl<$($lead),*> sealed::Sealed for ($($lead,)*) {}
    )*};
}

sealed! { A; A B; A B C; A B C D; A B C D E; A B C D E F; A B C D E F G; }
leading! {
    1: A | B; 1: A | B C; 1: A | B C D; 1: A | B C D E; 1: A | B C D E F; 1: A | B C D E F G; 1: A | B C D E F G H;
    2: A B | C; 2: A B | C D; 2: A B | C D E; 2: A B | C D E F; 2: A B | C D E F G; 2: A B | C D E F G H;
    3: A B C | D; 3: A B C | D E; 3: A B C | D E F; 3: A B C | D E F G; 3: A B C | D E F G H;
    4: A B C D | E; 4: A B C D | E F; 4: A B C D | E F G; 4: A B C D | E F G H;
    5: A B C D E | F; 5: A B C D E | F G; 5: A B C D E | F G H;
    6: A B C D E F | G; 6: A B C D E F | G H;
    7: A B C D E F G | H;
}

/// What all keys of a keyspace that begin with certain parts have in common. Made by [`Keyspace::prefix`].
///
/// `Debug` prints lengths, never the parts.
#[derive(Clone)]
pub struct Prefix {
    keyspace: &'static str,
    /// How many leading parts the keyspace marks.
    marked: u8,
    parts: u8,
    /// The keyspace as its keys begin with it, then the parts: as [`Prefixes`] gives them.
    bytes: PartBuf,
}

impl Prefix {
    pub(super) fn new<K, V: 'static, P: LeadingParts<K>>(keyspace: &'static KeyspaceInfo<V>, leading: &P) -> Self {
        let mut key = PartEncoder::default();
        keyspace.encode_prefix(&mut key);
        leading.encode(&mut key);
        let bytes = keyspace.normalized(key.finish());
        let mut frames = Frames(&bytes);
        let name = frames.next().map_or(0, |frame| frame.length);
        let members = frames.next().map_or(&[][..], |group| group.bytes);
        let bytes = bytes[..name].iter().chain(members).copied().collect();
        Self { keyspace: keyspace.name(), marked: keyspace.marked_parts(), parts: P::PARTS, bytes }
    }

    /// Makes it of a group of parts that was encoded before.
    pub(crate) fn of_shape(keyspace: &KeyspaceShape, version: Option<u32>, leading: &[u8]) -> Result<Self> {
        let key = keyspace.key(version, leading);
        let mut frames = Frames(&key);
        let name = frames.next().map_or(0, |frame| frame.length);
        let members = group_members(&key[name..]).unwrap_or_default();
        let parts = Frames(members).count();
        let parts = u8::try_from(parts).ok().filter(|parts| (1..=MAX_PREFIX).contains(parts));
        let parts = parts.ok_or_else(|| Error::invalid(format!("a prefix has 1 to {MAX_PREFIX} leading parts")))?;
        let bytes = key[..name].iter().chain(members).copied().collect();
        Ok(Self { keyspace: keyspace.name, marked: keyspace.marked_parts, parts, bytes })
    }

    /// Returns the encoded keyspace and parts.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks that the keyspace marks as many leading parts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if it marks fewer: its entries could not be told apart by them.
    pub fn check(&self) -> Result<()> {
        let Self { keyspace, marked, parts, .. } = self;
        if parts > marked {
            return Err(Error::invalid(format!(
                "the keyspace {keyspace:?} marks {marked} leading parts of its keys, and a prefix of {parts} was given: declare it with \
                 .prefixes({parts})"
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefix").field("keyspace", &self.keyspace).field("parts", &self.parts).finish_non_exhaustive()
    }
}

/// Returns what is inside of a group that was encoded before.
pub(crate) fn group_members(encoded: &[u8]) -> Option<&[u8]> {
    Frames(encoded).next().filter(|frame| PartKind::is_group(frame.kind)).map(|frame| frame.bytes)
}

/// The prefixes of one key that its keyspace marks, the shortest first. Made by [`Key::prefixes`](super::Key::prefixes).
#[derive(Debug)]
pub struct Prefixes<'k> {
    bytes: PartBuf,
    members: &'k [u8],
    left: u8,
}

impl<'k> Prefixes<'k> {
    pub(super) fn none() -> Self {
        Self { bytes: PartBuf::new(), members: &[], left: 0 }
    }

    /// Walks over the leading parts of an encoded key of a keyspace.
    pub(super) fn of(key: &'k [u8], marked: u8) -> Self {
        let mut frames = Frames(key);
        let (Some(name), Some(Frame { kind, bytes: members, .. })) = (frames.next(), frames.next()) else {
            return Self::none();
        };
        if !PartKind::is_group(kind) {
            return Self::none();
        }
        Self { bytes: PartBuf::from_slice(&key[..name.length]), members, left: marked }
    }

    /// Returns the encoded form of the next longer one, as [`Prefix::as_bytes`] does.
    pub fn next_bytes(&mut self) -> Option<&[u8]> {
        self.left = self.left.checked_sub(1)?;
        let length = Frames(self.members).next()?.length;
        let (part, rest) = self.members.split_at(length);
        self.members = rest;
        // all parts together are the key itself
        if rest.is_empty() {
            return None;
        }
        self.bytes.extend_from_slice(part);
        Some(&self.bytes)
    }
}

impl<K, V: 'static> Keyspace<K, V> {
    /// Names all keys that begin with some parts, to invalidate them together: see
    /// [`prefixes`](Keyspace::prefixes).
    ///
    /// ```
    /// use stratacache_core::{Keyspace, Policy, Target, minutes};
    ///
    /// // company, year, month
    /// const SALES: Keyspace<(u32, u16, u8), f64> = Keyspace::new("sales", Policy::ttl(minutes(5))).prefixes(2);
    ///
    /// let of_a_company = SALES.prefix(&(42,));
    /// let of_its_year = SALES.prefix(&(42, 2026));
    /// let targets = [Target::prefix(of_a_company), Target::prefix(of_its_year)];
    /// # let _ = targets;
    /// ```
    ///
    /// Parts of another type than the key's do not compile:
    ///
    /// ```compile_fail
    /// # use stratacache_core::{Keyspace, Policy, minutes};
    /// const SALES: Keyspace<(u32, u16, u8), f64> = Keyspace::new("sales", Policy::ttl(minutes(5))).prefixes(2);
    /// let of_a_company = SALES.prefix(&("42",));
    /// ```
    #[must_use]
    pub fn prefix<P: LeadingParts<K>>(&'static self, leading: &P) -> Prefix {
        Prefix::new(self.info(), leading)
    }
}

/// Writes the key part of `key` in its normal form; the name of its keyspace stays as it is.
pub(super) fn normalize_key(key: PartBuf, text: super::NormalizeText) -> PartBuf {
    let name = Frames(&key).next().map_or(0, |frame| frame.length);
    let mut into = PartEncoder::default();
    into.raw(&key[..name]);
    normalize(&key[name..], text, &mut into);
    into.finish()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::{Policy, minutes};

    const POLICY: Policy = Policy::ttl(minutes(5));
    const SALES: Keyspace<(u32, String, u8), f64> = Keyspace::new("sales", POLICY).prefixes(2);
    const OTHER: Keyspace<(u32, String, u8), f64> = Keyspace::new("other", POLICY).prefixes(2);
    const MORE: Keyspace<(u32, u32), f64> = Keyspace::new("more", POLICY).prefixes(7);
    const SINGLE: Keyspace<u32, f64> = Keyspace::new("single", POLICY).prefixes(1);
    const FOLDED: Keyspace<(String, u32), f64> = Keyspace::new("Folded", POLICY).prefixes(1).normalize_text(lower);

    fn lower(text: &str) -> Cow<'_, str> {
        text.to_lowercase().into()
    }

    fn all(mut prefixes: Prefixes<'_>) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| prefixes.next_bytes().map(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn a_key_has_the_prefixes_that_its_keyspace_marks() {
        let key = SALES.key(&(42, "eu".into(), 7));
        let expected = [SALES.prefix(&(42,)), SALES.prefix(&(42, "eu".to_owned()))].map(|p| p.as_bytes().to_vec());
        assert_eq!(all(key.prefixes()), expected);
    }

    #[test]
    fn prefixes_of_other_parts_keyspaces_and_lengths_are_others() {
        let prefixes = [
            SALES.prefix(&(42,)),
            SALES.prefix(&(43,)),
            SALES.prefix(&(42, String::new())),
            SALES.prefix(&(42, "eu".to_owned())),
            OTHER.prefix(&(42,)),
            MORE.prefix(&(42,)),
        ];
        for (i, a) in prefixes.iter().enumerate() {
            for (j, b) in prefixes.iter().enumerate() {
                assert_eq!(a.as_bytes() == b.as_bytes(), i == j, "{i} {j}");
            }
        }
    }

    #[test]
    fn all_parts_together_are_no_prefix_and_keys_of_one_part_have_none() {
        assert_eq!(all(MORE.key(&(1, 2)).prefixes()).len(), 1);
        assert!(all(SINGLE.key(&1).prefixes()).is_empty());
        assert!(all(super::super::Key::<f64>::new((1, 2)).prefixes()).is_empty());
    }

    #[test]
    fn a_prefix_that_is_not_marked_is_refused_by_the_name_of_the_knob() {
        const FEW: Keyspace<(u32, u32, u32), f64> = Keyspace::new("few", POLICY).prefixes(1);
        assert!(FEW.prefix(&(1,)).check().is_ok());
        let error = FEW.prefix(&(1, 2)).check().unwrap_err().to_string();
        assert!(error.contains(".prefixes(2)") && error.contains("few"), "{error}");
    }

    #[test]
    fn a_normal_form_holds_for_keys_and_prefixes_and_not_for_the_name() {
        let key = FOLDED.key(&("Ada".into(), 1));
        assert_eq!(key, FOLDED.key(&("ADA".into(), 1)));
        assert_eq!(all(key.prefixes()), [FOLDED.prefix(&("aDA".into(),)).as_bytes()]);
        const LOWER: Keyspace<(String, u32), f64> = Keyspace::new("folded", POLICY).prefixes(1).normalize_text(lower);
        assert_ne!(key, LOWER.key(&("ada".into(), 1)));
    }
}
