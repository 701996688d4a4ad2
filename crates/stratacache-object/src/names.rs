//! What objects are called: nothing in it comes from keys, tenants or anybody's text.

use std::fmt;

use stratacache_core::EntryName;

const PROBE: &str = "probe-";

/// The name of an object below the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectName {
    /// Of an entry: the hash of what it is, as 32 hexadecimal digits.
    Entry(EntryName),
    /// Of the start-up probe, with a random number.
    Probe(u128),
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(name) => write!(f, "{:032x}", u128::from_be_bytes(name.to_bytes())),
            Self::Probe(number) => write!(f, "{PROBE}{number:032x}"),
        }
    }
}

/// Reads the name of an object; `None` for what is none of ours.
pub(crate) fn parse(name: &str) -> Option<ObjectName> {
    let number = |digits: &str| {
        let plain = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        plain.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
    };
    match name.strip_prefix(PROBE) {
        Some(digits) => number(digits).map(ObjectName::Probe),
        None => number(name).map(|number| ObjectName::Entry(EntryName::from_bytes(number.to_be_bytes()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_object_tells_what_it_is_and_nothing_else_does() {
        let name = |bytes| ObjectName::Entry(EntryName::from_bytes(bytes));
        let entry = name(std::array::from_fn(|i| i as u8 * 17));
        assert_eq!(entry.to_string(), "00112233445566778899aabbccddeeff");
        for ours in [entry, name([0; 16]), name([0xff; 16]), ObjectName::Probe(7), ObjectName::Probe(u128::MAX)] {
            assert_eq!(parse(&ours.to_string()), Some(ours));
        }
        for other in ["", "tmp", "00112233445566778899AABBCCDDEEFF", "+0112233445566778899aabbccddeeff", "probe-1"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
        assert!(ObjectName::Probe(0).to_string() > name([0xff; 16]).to_string(), "probes come last in a list");
    }
}
