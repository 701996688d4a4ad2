//! Parts back from their encoded form, for who finds a key again that another process has made.

use std::{borrow::Cow, sync::Arc};

use super::{
    KeyPart,
    frames::{Frame, Frames},
    part::kinds,
};

/// Groups and variants nested deeper than this are refused: no key may exhaust the stack of who reads it.
const DEEPEST: u8 = 128;

/// Reads back what [`PartEncoder`](super::PartEncoder) has written, one part after the other.
///
/// Every method takes the next part if it is of its kind; `None` says that it is not, and takes nothing. Groups and variants are read up
/// to 128 deep.
#[derive(Debug)]
pub struct PartDecoder<'a> {
    left: &'a [u8],
    /// In how many groups and variants it is.
    depth: u8,
}

impl<'a> PartDecoder<'a> {
    pub(super) fn new(encoded: &'a [u8]) -> Self {
        Self { left: encoded, depth: 0 }
    }

    /// Takes the next part, whatever its kind.
    pub(super) fn frame(&mut self) -> Option<Frame<'a>> {
        let mut frames = Frames(self.left);
        let frame = frames.next()?;
        self.left = frames.0;
        Some(frame)
    }

    fn take(&mut self, kind: u8) -> Option<&'a [u8]> {
        let before = self.left;
        let frame = self.frame()?;
        if frame.kind != kind {
            self.left = before;
            return None;
        }
        Some(frame.bytes)
    }

    /// Tells whether all parts were taken.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    /// Takes a text.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.take(kinds::TEXT)?).ok()
    }

    /// Takes raw bytes.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        self.take(kinds::BYTES)
    }

    /// Takes a number that is not negative.
    pub fn unsigned(&mut self) -> Option<u128> {
        number(self.take(kinds::UNSIGNED)?)
    }

    /// Takes a number.
    pub fn signed(&mut self) -> Option<i128> {
        if let Some(magnitude) = self.take(kinds::SIGNED) {
            return 0_i128.checked_sub_unsigned(number(magnitude)?);
        }
        i128::try_from(self.unsigned()?).ok()
    }

    /// Takes a boolean.
    pub fn boolean(&mut self) -> Option<bool> {
        match self.take(kinds::BOOL)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    /// Takes the part that has only one value.
    pub fn unit(&mut self) -> Option<()> {
        self.take(kinds::UNIT).filter(|bytes| bytes.is_empty()).map(drop)
    }

    /// Takes a group: `read` must take all of its members.
    pub fn group<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let members = self.take(kinds::GROUP)?;
        self.whole(members, read)
    }

    /// Takes a group's encoded members.
    pub(super) fn group_bytes(&mut self) -> Option<&'a [u8]> {
        self.take(kinds::GROUP)
    }

    /// Takes a variant of an enum: `read` gets its index, and must take all of its fields.
    pub fn variant<T>(&mut self, read: impl FnOnce(u32, &mut Self) -> Option<T>) -> Option<T> {
        let fields = self.take(kinds::VARIANT)?;
        self.whole(fields, |fields| {
            let index = u32::try_from(fields.unsigned()?).ok()?;
            read(index, fields)
        })
    }

    fn whole<T>(&self, encoded: &'a [u8], read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let depth = self.depth.checked_add(1).filter(|depth| *depth <= DEEPEST)?;
        let mut inner = Self { left: encoded, depth };
        read(&mut inner).filter(|_| inner.is_at_end())
    }

    #[cfg(feature = "uuid")]
    fn uuid(&mut self) -> Option<uuid::Uuid> {
        uuid::Uuid::from_slice(self.take(kinds::UUID)?).ok()
    }
}

/// Reads a number of up to 16 little-endian bytes.
pub(super) fn number(bytes: &[u8]) -> Option<u128> {
    let mut wide = [0; 16];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u128::from_le_bytes(wide))
}

/// A [`KeyPart`] that can be had back from its encoded form.
///
/// Implemented for `String`, `Vec<u8>`, byte arrays, integers, `bool`, `()`, `Uuid` (feature `uuid`), for tuples of up to eight
/// and `Option`s of these, and for a `Box`, `Arc` or `Cow` of them, of `str` and of `[u8]`. References are no such thing: what comes back
/// owns what it holds.
///
/// Own types derive it beside [`KeyPart`] (`#[derive(KeyPart, DecodePart)]`, feature `macros` of `stratacache`), or implement
/// it by reading what they write:
///
/// ```
/// use stratacache_core::{DecodePart, KeyPart, PartDecoder, PartEncoder};
///
/// struct PageOf { list: String, page: u32 }
///
/// impl KeyPart for PageOf {
///     fn encode(&self, parts: &mut PartEncoder) {
///         (&self.list, self.page).encode(parts);
///     }
/// }
///
/// impl DecodePart for PageOf {
///     fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
///         let (list, page) = DecodePart::decode(parts)?;
///         Some(Self { list, page })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be had back from a key",
    label = "not a `DecodePart`",
    note = "what comes back owns what it holds: `String` for `&str`, `Vec<u8>` for `&[u8]`; own types derive it with `#[derive(KeyPart, DecodePart)]` (feature `macros`)"
)]
pub trait DecodePart: KeyPart + Sized {
    /// Takes one value; `None` if the next part is not one.
    fn decode(parts: &mut PartDecoder<'_>) -> Option<Self>;
}

impl DecodePart for String {
    fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
        parts.text().map(str::to_owned)
    }
}

impl DecodePart for Vec<u8> {
    fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
        parts.bytes().map(<[u8]>::to_vec)
    }
}

impl<const N: usize> DecodePart for [u8; N] {
    fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
        parts.bytes()?.try_into().ok()
    }
}

impl DecodePart for bool {
    fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
        parts.boolean()
    }
}

impl DecodePart for () {
    fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
        parts.unit()
    }
}

#[cfg(feature = "uuid")]
impl DecodePart for uuid::Uuid {
    fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
        parts.uuid()
    }
}

impl<T: DecodePart> DecodePart for Option<T> {
    fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
        parts.variant(|index, fields| match index {
            0 => Some(None),
            1 => T::decode(fields).map(Some),
            _ => None,
        })
    }
}

macro_rules! pointers {
    ($($pointer:ident),*) => {$(
        impl<T: DecodePart> DecodePart for $pointer<T> {
            fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
                T::decode(parts).map(Self::new)
            }
        }

        impl DecodePart for $pointer<str> {
            fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
                parts.text().map(Self::from)
            }
        }

        impl DecodePart for $pointer<[u8]> {
            fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
                parts.bytes().map(Self::from)
            }
        }
    )*};
}
pointers!(Box, Arc);

impl<T> DecodePart for Cow<'_, T>
where
    T: KeyPart + ToOwned<Owned: DecodePart> + ?Sized,
{
    fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
        DecodePart::decode(parts).map(Self::Owned)
    }
}

macro_rules! integers {
    ($read:ident: $($int:ty),*) => {$(
        impl DecodePart for $int {
            fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
                parts.$read()?.try_into().ok()
            }
        }
    )*};
}
integers!(unsigned: u8, u16, u32, u64, u128, usize);
integers!(signed: i8, i16, i32, i64, i128, isize);

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: DecodePart),*> DecodePart for ($($name,)*) {
            fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
                parts.group(|g| Some(($($name::decode(g)?,)*)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{PartEncoder, encode_part};
    use proptest::prelude::*;

    fn back<T: DecodePart>(encoded: &[u8]) -> Option<T> {
        let mut parts = PartDecoder::new(encoded);
        T::decode(&mut parts).filter(|_| parts.is_at_end())
    }

    fn same<T: DecodePart + PartialEq + std::fmt::Debug>(value: T) {
        assert_eq!(back::<T>(&encode_part(&value)).as_ref(), Some(&value));
    }

    #[test]
    fn every_value_comes_back() {
        same("text".to_owned());
        same("x".repeat(300));
        same(vec![0_u8, 255]);
        same([1_u8; 16]);
        same(true);
        same(());
        same((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX, usize::MAX));
        same((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN, isize::MIN, i128::MAX, -1_i32));
        same((Some(7_u32), None::<u32>, Some(None::<u32>)));
        same(("a".to_owned(), ("b".to_owned(), ((),))));
        same((Box::new(7_u32), Box::<str>::from("a"), Box::<[u8]>::from([1, 2])));
        same((Arc::new(Some(7_u32)), Arc::<str>::from("a"), Arc::<[u8]>::from([1, 2])));
        same((Cow::Borrowed("a"), Cow::Borrowed(&[1_u8, 2][..]), Cow::<u32>::Owned(7)));
    }

    /// A number in so many groups.
    #[derive(Debug, PartialEq)]
    struct Deep(u32);

    impl KeyPart for Deep {
        fn encode(&self, parts: &mut PartEncoder) {
            match self.0.checked_sub(1) {
                Some(less) => parts.group(|g| Self(less).encode(g)),
                None => parts.unit(),
            }
        }
    }

    impl DecodePart for Deep {
        fn decode(parts: &mut PartDecoder<'_>) -> Option<Self> {
            if parts.unit().is_some() {
                return Some(Self(0));
            }
            parts.group(Self::decode).map(|Self(less)| Self(less + 1))
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_refused_before_the_stack_ends() {
        same(Deep(128));
        assert_eq!(back::<Deep>(&encode_part(&Deep(129))), None);
        // of the size of the largest key
        let mut encoded = encode_part(&()).to_vec();
        while encoded.len() < crate::MAX_KEY - 10 {
            let mut parts = PartEncoder::default();
            parts.put(kinds::GROUP, &encoded);
            encoded = parts.finish().to_vec();
        }
        assert_eq!(back::<Deep>(&encoded), None);
    }

    #[test]
    fn what_is_of_another_type_or_too_large_is_refused() {
        let number = encode_part(&300_u32);
        assert_eq!(back::<u8>(&number), None);
        assert_eq!(back::<String>(&number), None);
        assert_eq!(back::<(u32,)>(&number), None);
        assert_eq!(back::<u32>(&encode_part(&-1)), None);
        assert_eq!(back::<(u32,)>(&encode_part(&(1_u32, 2_u32))), None, "too many members");
        assert_eq!(back::<(u32, u32, u32)>(&encode_part(&(1_u32, 2_u32))), None, "too few");
        assert_eq!(back::<[u8; 3]>(&encode_part(&[1_u8, 2])), None);
        assert_eq!(back::<i128>(&encode_part(&u128::MAX)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = back::<(String, u32, Option<i64>)>(&bytes);
            let _ = back::<i8>(&bytes);
            let _ = back::<(bool, (), Vec<u8>)>(&bytes);
        }

        #[test]
        fn any_tuple_comes_back(a in ".{0,40}", b in any::<i64>(), c in any::<Option<u16>>(), d in any::<Vec<u8>>()) {
            same((a, b, c, d));
        }
    }
}
