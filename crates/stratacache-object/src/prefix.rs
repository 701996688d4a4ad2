//! What the names of all objects begin with.

use std::{error::Error as StdError, fmt};

use stratacache_core::Error;

/// Longest prefix in bytes: a name of ours and the longest prefix together are far below what stores take.
const LONGEST: usize = 256;

/// What is wrong with a prefix; the [`source`](StdError::source) of the error that refuses it.
///
/// ```
/// use std::error::Error;
/// use stratacache_object::{Object, PrefixError};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let refused = Object::open("s3://bucket/caches/../secrets").await.unwrap_err();
/// let why = refused.source().and_then(|source| source.downcast_ref::<PrefixError>());
/// assert_eq!(why, Some(&PrefixError::Dots));
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrefixError {
    /// It has more than 256 bytes.
    TooLong(usize),
    /// A part between slashes is empty.
    EmptyPart,
    /// A part is `.` or `..`.
    Dots,
    /// It has a character other than `A-Z`, `a-z`, `0-9`, `.`, `_`, `-` and the slash between parts.
    Character(char),
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "it has {bytes} bytes, and {LONGEST} are the most"),
            Self::EmptyPart => f.write_str("a part between its slashes is empty"),
            Self::Dots => f.write_str("a part of it is `.` or `..`"),
            Self::Character(c) => write!(f, "it has the character {c:?}; A-Z, a-z, 0-9, `.`, `_` and `-` are fine"),
        }
    }
}

impl StdError for PrefixError {}

/// A prefix that was checked: parts joined by slashes, without one at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefix(String);

impl Prefix {
    /// Checks a prefix; one slash at its end is left out.
    pub(crate) fn parse(text: &str) -> Result<Self, PrefixError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.len() > LONGEST {
            return Err(PrefixError::TooLong(text.len()));
        }
        let strange = |c: &char| !(c.is_ascii_alphanumeric() || "._-/".contains(*c));
        if let Some(character) = text.chars().find(strange) {
            return Err(PrefixError::Character(character));
        }
        for part in text.split('/') {
            match part {
                "" => return Err(PrefixError::EmptyPart),
                "." | ".." => return Err(PrefixError::Dots),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<PrefixError> for Error {
    fn from(error: PrefixError) -> Self {
        Self::invalid(format!("the prefix in the URL of the object tier cannot be used: {error}")).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_made_of_plain_parts() {
        for (text, taken) in [("a", "a"), ("a/b-c_d.e/0", "a/b-c_d.e/0"), ("a/", "a"), ("..a/b..", "..a/b..")] {
            assert_eq!(Prefix::parse(text).as_ref().map(Prefix::as_str), Ok(taken), "{text:?}");
        }
    }

    #[test]
    fn a_prefix_that_could_lead_elsewhere_is_refused_by_what_is_wrong_with_it() {
        for (text, wrong) in [
            ("", PrefixError::EmptyPart),
            ("/", PrefixError::EmptyPart),
            ("/a", PrefixError::EmptyPart),
            ("a//b", PrefixError::EmptyPart),
            ("a//", PrefixError::EmptyPart),
            ("..", PrefixError::Dots),
            ("../x", PrefixError::Dots),
            ("a/../b", PrefixError::Dots),
            ("a/.", PrefixError::Dots),
            ("a\0b", PrefixError::Character('\0')),
            ("%2e%2e/x", PrefixError::Character('%')),
            ("a\\b", PrefixError::Character('\\')),
            ("caf\u{e9}", PrefixError::Character('\u{e9}')),
            ("\u{ff0e}\u{ff0e}/x", PrefixError::Character('\u{ff0e}')),
            ("a b", PrefixError::Character(' ')),
            ("a?b", PrefixError::Character('?')),
            ("a#b", PrefixError::Character('#')),
            ("a\r\nb", PrefixError::Character('\r')),
            ("a:b", PrefixError::Character(':')),
        ] {
            assert_eq!(Prefix::parse(text), Err(wrong), "{text:?}");
        }
        let long = "a".repeat(257);
        assert_eq!(Prefix::parse(&long), Err(PrefixError::TooLong(257)));
    }
}
