//! Values that can be a part of a key, namespace or tag, and their injective encoding.

use std::{borrow::Cow, sync::Arc};

use smallvec::SmallVec;

/// Encoded parts of so many bytes stay on the stack.
const INLINE: usize = 32;

/// Encoded parts; short ones stay on the stack.
pub(crate) type PartBuf = SmallVec<[u8; INLINE]>;

/// Receives the encoded form of a [`KeyPart`].
///
/// Each part is written as a type byte, its length and its bytes, so that different lists of parts never give equal
/// bytes: `("a", "bc")` is not `("ab", "c")`, `1_u32` is not `"1"`, and `("a", ("b", "c"))` is not `("a", "b", "c")`.
#[derive(Debug, Default)]
pub struct PartEncoder {
    bytes: PartBuf,
}

/// The type bytes.
pub(super) mod kinds {
    pub(in crate::key) const TEXT: u8 = 1;
    pub(in crate::key) const BYTES: u8 = 2;
    pub(in crate::key) const UNSIGNED: u8 = 3;
    pub(in crate::key) const SIGNED: u8 = 4;
    pub(in crate::key) const BOOL: u8 = 5;
    pub(in crate::key) const GROUP: u8 = 6;
    pub(in crate::key) const UUID: u8 = 7;
    pub(in crate::key) const VARIANT: u8 = 8;
    pub(in crate::key) const UNIT: u8 = 9;
}
use kinds::{BOOL, BYTES, GROUP, SIGNED, TEXT, UNIT, UNSIGNED, UUID, VARIANT};

/// What a reader of encoded parts needs to know of a type.
pub(super) enum PartKind {
    Text,
    /// Has parts inside.
    Nested,
    Other,
}

impl PartKind {
    pub(super) const fn of(kind: u8) -> Self {
        match kind {
            TEXT => Self::Text,
            GROUP | VARIANT => Self::Nested,
            _ => Self::Other,
        }
    }

    pub(super) const fn is_group(kind: u8) -> bool {
        kind == GROUP
    }
}

/// Writes a part of up to [`INLINE`] - 2 bytes: its type, its length, its bytes.
///
/// The bytes are moved into their place in whole words. Written two bytes off, each later move of the buffer would have to
/// wait for stores it cannot be forwarded from, which costs a cache hit 4 ns of 60.
#[inline]
fn framed(kind: u8, bytes: &[u8]) -> [u8; INLINE] {
    let mut raw = [0; INLINE];
    raw[..bytes.len()].copy_from_slice(bytes);
    let mut framed = [0; INLINE];
    let mut carried = u64::from(u16::from_le_bytes([kind, bytes.len() as u8]));
    for (from, to) in raw.as_chunks::<8>().0.iter().zip(framed.as_chunks_mut::<8>().0) {
        let word = u64::from_le_bytes(*from);
        *to = (word << 16 | carried).to_le_bytes();
        carried = word >> 48;
    }
    framed
}

impl PartEncoder {
    #[inline]
    pub(super) fn put(&mut self, kind: u8, bytes: &[u8]) {
        let end = bytes.len() + 2;
        if end <= INLINE && self.bytes.is_empty() {
            // a short part that stands alone, as most keys are: no checks of room
            self.bytes = PartBuf::from_buf_and_len(framed(kind, bytes), end);
        } else {
            self.append(kind, bytes);
        }
    }

    fn append(&mut self, kind: u8, bytes: &[u8]) {
        self.bytes.push(kind);
        // lengths below 255 take one byte: keys are short
        match u8::try_from(bytes.len()) {
            Ok(len) if len < u8::MAX => self.bytes.push(len),
            _ => {
                self.bytes.push(u8::MAX);
                self.bytes.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a text part.
    #[inline]
    pub fn text(&mut self, text: &str) {
        self.put(TEXT, text.as_bytes());
    }

    /// Writes a part of raw bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.put(BYTES, bytes);
    }

    /// Writes an unsigned integer; all widths of the same number are the same part.
    pub fn unsigned(&mut self, n: u128) {
        let le = n.to_le_bytes();
        self.put(UNSIGNED, &le[..16 - (n.leading_zeros() / 8) as usize]);
    }

    /// Writes a signed integer; all widths of the same number are the same part, and non-negative numbers are the same
    /// part as the equal unsigned number.
    pub fn signed(&mut self, n: i128) {
        match u128::try_from(n) {
            Ok(n) => self.unsigned(n),
            Err(_) => {
                let magnitude = n.unsigned_abs();
                self.put(SIGNED, &magnitude.to_le_bytes()[..16 - (magnitude.leading_zeros() / 8) as usize]);
            }
        }
    }

    /// Writes a boolean.
    pub fn boolean(&mut self, b: bool) {
        self.put(BOOL, &[u8::from(b)]);
    }

    /// Writes the part that has only one value, as `()` does; it is not a group without members.
    pub fn unit(&mut self) {
        self.put(UNIT, &[]);
    }

    /// Writes a group of parts, as a tuple does: `fill` writes the members.
    pub fn group(&mut self, fill: impl FnOnce(&mut Self)) {
        self.nested(GROUP, fill);
    }

    /// Writes a variant of an enum: its index, then its fields.
    pub fn variant(&mut self, index: u32, fill: impl FnOnce(&mut Self)) {
        self.nested(VARIANT, |inner| {
            inner.unsigned(index.into());
            fill(inner);
        });
    }

    /// Writes what was encoded before.
    pub(crate) fn raw(&mut self, encoded: &[u8]) {
        self.bytes.extend_from_slice(encoded);
    }

    pub(super) fn nested(&mut self, kind: u8, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.put(kind, &inner.bytes);
    }

    /// Writes a UUID.
    pub(crate) fn uuid_bytes(&mut self, id: &[u8; 16]) {
        self.put(UUID, id);
    }

    pub(crate) fn finish(self) -> PartBuf {
        self.bytes
    }
}

/// A value that can be a part of a key, namespace or tag.
///
/// Implemented for text, byte slices, byte arrays, integers, `bool`, `Uuid` (feature `uuid`), tuples of up to eight
/// parts, `()`, `Option` of a part, and references to all of them, `Box`, `Arc` and `Cow` included. `()` is the key of a
/// keyspace with exactly one entry. Any bytes are legal: empty, NUL, newlines, emoji. Text is compared byte for
/// byte, so the NFC and NFD forms of a word are two keys; `*`, `?`, `[`, `]` and `\` mean nothing.
///
/// Own types derive it (`#[derive(KeyPart)]`, feature `macros` of `stratacache`), or implement it by writing their fields.
/// Write exactly one part, as `group` and `variant` do: two parts in a row could be read as two other values.
///
/// ```
/// use stratacache_core::{KeyPart, PartEncoder};
///
/// struct PageOf { list: String, page: u32 }
///
/// impl KeyPart for PageOf {
///     fn encode(&self, parts: &mut PartEncoder) {
///         parts.group(|g| {
///             self.list.encode(g);
///             self.page.encode(g);
///         });
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a part of a key, namespace or tag",
    label = "not a `KeyPart`",
    note = "parts are text, bytes, integers, `bool`, `Option`s and tuples of parts; own types derive it with `#[derive(KeyPart)]` (feature `macros`)"
)]
pub trait KeyPart {
    /// Writes this value to the encoder.
    fn encode(&self, parts: &mut PartEncoder);
}

impl<T: KeyPart + ?Sized> KeyPart for &T {
    #[inline]
    fn encode(&self, parts: &mut PartEncoder) {
        (**self).encode(parts);
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<T: KeyPart + ?Sized> KeyPart for $pointer {
            fn encode(&self, parts: &mut PartEncoder) {
                (**self).encode(parts);
            }
        }
    )*};
}
pointers!(Box<T>, Arc<T>);

impl<T: KeyPart + ToOwned + ?Sized> KeyPart for Cow<'_, T> {
    fn encode(&self, parts: &mut PartEncoder) {
        (**self).encode(parts);
    }
}

impl<T: KeyPart> KeyPart for Option<T> {
    fn encode(&self, parts: &mut PartEncoder) {
        match self {
            None => parts.variant(0, |_| {}),
            Some(value) => parts.variant(1, |fields| value.encode(fields)),
        }
    }
}

impl KeyPart for str {
    #[inline]
    fn encode(&self, parts: &mut PartEncoder) {
        parts.text(self);
    }
}

impl KeyPart for String {
    #[inline]
    fn encode(&self, parts: &mut PartEncoder) {
        parts.text(self);
    }
}

impl KeyPart for [u8] {
    fn encode(&self, parts: &mut PartEncoder) {
        parts.bytes(self);
    }
}

impl KeyPart for Vec<u8> {
    fn encode(&self, parts: &mut PartEncoder) {
        parts.bytes(self);
    }
}

impl<const N: usize> KeyPart for [u8; N] {
    fn encode(&self, parts: &mut PartEncoder) {
        parts.bytes(self);
    }
}

impl KeyPart for bool {
    fn encode(&self, parts: &mut PartEncoder) {
        parts.boolean(*self);
    }
}

impl KeyPart for () {
    fn encode(&self, parts: &mut PartEncoder) {
        parts.unit();
    }
}

#[cfg(feature = "uuid")]
impl KeyPart for uuid::Uuid {
    fn encode(&self, parts: &mut PartEncoder) {
        parts.uuid_bytes(self.as_bytes());
    }
}

macro_rules! integers {
    ($write:ident as $wide:ty: $($int:ty),*) => {$(
        impl KeyPart for $int {
            fn encode(&self, parts: &mut PartEncoder) {
                parts.$write(*self as $wide);
            }
        }
    )*};
}
integers!(unsigned as u128: u8, u16, u32, u64, u128, usize);
integers!(signed as i128: i8, i16, i32, i64, i128, isize);

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: KeyPart),*> KeyPart for ($($name,)*) {
            #[allow(non_snake_case)]
            fn encode(&self, parts: &mut PartEncoder) {
                let ($($name,)*) = self;
                parts.group(|g| { $($name.encode(g);)* });
            }
        }
    };
}
tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

#[inline]
pub(crate) fn encode_part(part: &(impl KeyPart + ?Sized)) -> PartBuf {
    let mut encoder = PartEncoder::default();
    part.encode(&mut encoder);
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(part: impl KeyPart) -> Vec<u8> {
        encode_part(&part).to_vec()
    }

    #[test]
    fn different_parts_never_encode_alike() {
        let all = [
            bytes("a"),
            bytes("b"),
            bytes(""),
            bytes("\0"),
            bytes("a:b"),
            bytes("a.b"),
            bytes("a/b"),
            bytes("1"),
            bytes(1_u8),
            bytes(-1),
            bytes(0),
            bytes(b"a"),
            bytes(true),
            bytes(false),
            bytes(("a",)),
            bytes(("a", "b")),
            bytes(("ab",)),
            bytes(("a", ("b", "c"))),
            bytes((("a", "b"), "c")),
            bytes(("a", "b", "c")),
            bytes("e\u{301}"),
            bytes("\u{e9}"),
            bytes("*"),
            bytes("🦀"),
            bytes(u128::MAX),
            bytes(i128::MIN),
            bytes("x".repeat(254)),
            bytes("x".repeat(255)),
            bytes("x".repeat(70_000)),
            bytes(()),
            bytes(((),)),
            bytes(((), ())),
            bytes(("", ())),
            bytes(b""),
            bytes([UNIT, 0]),
            bytes("\u{9}\0"),
            bytes(Part::Group(Vec::new())),
            bytes(Part::Variant(0)),
            bytes(Part::Variant(9)),
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(a == b, i == j, "{i} {j}");
            }
        }
    }

    #[test]
    fn all_widths_of_a_number_are_one_part() {
        assert_eq!(bytes(7_u8), bytes(7_u64));
        assert_eq!(bytes(7_i32), bytes(7_u128));
        assert_eq!(bytes(-7_i8), bytes(-7_i64));
    }

    #[test]
    fn every_option_differs_from_what_it_holds_and_from_every_other() {
        let all = [
            bytes(None::<u32>),
            bytes(Some(0_u32)),
            bytes(Some(1_u32)),
            bytes(0_u32),
            bytes(()),
            bytes(Some(())),
            bytes(Some(None::<u32>)),
            bytes(Some(Some(0_u32))),
            bytes((None::<u32>, Some(0_u32))),
            bytes((Some(0_u32), None::<u32>)),
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(a == b, i == j, "{i} {j}");
            }
        }
    }

    #[test]
    fn a_pointer_is_what_it_points_to() {
        assert_eq!(bytes(Arc::<str>::from("a")), bytes("a"));
        assert_eq!(bytes(Box::new(7_u32)), bytes(7_u32));
        assert_eq!(bytes(Cow::Borrowed("a")), bytes(Cow::<str>::Owned("a".to_owned())));
    }

    #[derive(Debug, Clone, PartialEq)]
    enum Part {
        Text(String),
        Bytes(Vec<u8>),
        Number(i64),
        Unit,
        Variant(u32),
        Group(Vec<Part>),
    }

    impl KeyPart for Part {
        fn encode(&self, parts: &mut PartEncoder) {
            match self {
                Self::Text(t) => t.encode(parts),
                Self::Bytes(b) => b.encode(parts),
                Self::Number(n) => n.encode(parts),
                Self::Unit => ().encode(parts),
                Self::Variant(index) => parts.variant(*index, |_| {}),
                Self::Group(members) => parts.group(|g| members.iter().for_each(|m| m.encode(g))),
            }
        }
    }

    fn part() -> impl Strategy<Value = Part> {
        let leaf = prop_oneof![
            "[ab:]{0,3}".prop_map(Part::Text),
            proptest::collection::vec(0_u8..3, 0..3).prop_map(Part::Bytes),
            (-3_i64..300).prop_map(Part::Number),
            Just(Part::Unit),
            (0_u32..10).prop_map(Part::Variant),
        ];
        leaf.prop_recursive(2, 6, 3, |inner| proptest::collection::vec(inner, 0..3).prop_map(Part::Group))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn equal_bytes_mean_equal_parts(a in proptest::collection::vec(part(), 0..3), b in proptest::collection::vec(part(), 0..3)) {
            let (a, b) = (Part::Group(a), Part::Group(b));
            prop_assert_eq!(bytes(&a) == bytes(&b), a == b);
        }
    }
}
