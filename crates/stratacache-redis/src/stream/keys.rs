//! The keys of a stream and of one consumer, which are all in one slot of a cluster.

use crate::names::{hash_tag, slot};

pub(super) struct Keys {
    pub(super) slot: u16,
    pub(super) stream: String,
    pub(super) lock: String,
    pub(super) consumer: String,
    pub(super) poison: String,
    /// One that never exists.
    pub(super) nothing: String,
}

impl Keys {
    pub(super) fn new(stream: &str, consumer: &str) -> Self {
        let base = if hash_tag(stream).is_some() { stream.to_owned() } else { format!("{{{stream}}}") };
        let of = |what: &str| format!("{base}:strata:{consumer}{what}");
        Self {
            slot: slot(stream),
            stream: stream.to_owned(),
            lock: of(":lock"),
            consumer: of(""),
            poison: of(":poison"),
            nothing: of(":nothing"),
        }
    }

    /// Tells whether all are in one slot. They are not where a brace of the stream's key is without its other half.
    pub(super) fn are_together(&self) -> bool {
        slot(&self.consumer) == self.slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_in_the_slot_of_the_stream_unless_a_brace_is_alone() {
        for stream in ["changes", "{app}:changes", "app:{changes}", "a b"] {
            let keys = Keys::new(stream, "web");
            assert!(keys.are_together(), "{stream}");
            for key in [&keys.lock, &keys.consumer, &keys.poison, &keys.nothing] {
                assert_eq!(slot(key), keys.slot, "{key}");
            }
        }
        assert_eq!(Keys::new("changes", "web").lock, "{changes}:strata:web:lock");
        assert_eq!(Keys::new("{app}:changes", "web").consumer, "{app}:changes:strata:web");
        for stream in ["a}b", "{}a", "}"] {
            assert!(!Keys::new(stream, "web").are_together(), "{stream}");
        }
    }
}
