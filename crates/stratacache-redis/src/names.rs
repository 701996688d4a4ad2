//! The names of keys: one prefix for each deployment, and all keys of one script in one slot.

use stratacache_core::{EntryName, Error, Result, stamp::Lane};

/// The keys of a lane.
#[derive(Debug)]
pub(crate) struct LaneKeys {
    pub(crate) header: String,
    pub(crate) marks: [String; 2],
    pub(crate) stream: String,
    pub(crate) slot: u16,
}

/// Makes the names of keys.
#[derive(Debug)]
pub(crate) struct Names {
    prefix: String,
    lanes: Vec<LaneKeys>,
    pub(crate) fills: String,
    /// The channel of probes.
    pub(crate) asks: String,
    pub(crate) beats: String,
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if prefix.is_empty() || prefix.len() > 32 || !prefix.bytes().all(legal) {
            return Err(Error::invalid("the prefix of redis keys is 1 to 32 bytes of A-Z, a-z, 0-9, `_` and `-`"));
        }
        let lanes = Lane::all().map(|lane| {
            let key = |what: &str| format!("{prefix}:{{c{}}}:{what}", lane.index());
            let header = key("h");
            LaneKeys { slot: slot(&header), header, marks: [key("m0"), key("m1")], stream: key("s") }
        });
        let beats = format!("{prefix}:{{c{}}}:b", Lane::GLOBAL.index());
        Ok(Self {
            lanes: lanes.collect(),
            fills: format!("{prefix}:fills"),
            asks: format!("{prefix}:asks"),
            beats,
            prefix: prefix.to_owned(),
        })
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Says that no node ever wrote a key of this prefix where an operator looks for them.
    pub(crate) fn never_used(&self) -> Error {
        Error::invalid(format!(
            "no node of a deployment with the prefix `{}` ever connected to this redis: give the `prefix` and the \
             database number that the nodes have",
            self.prefix
        ))
    }

    /// Returns a channel of which nobody is told anything.
    pub(crate) fn nobody_listens(&self) -> String {
        format!("{}:nobody", self.prefix)
    }

    pub(crate) fn lane(&self, lane: Lane) -> &LaneKeys {
        &self.lanes[lane.index()]
    }

    pub(crate) fn entry(&self, name: EntryName) -> String {
        self.data(name, 'e')
    }

    pub(crate) fn lease(&self, name: EntryName) -> String {
        self.data(name, 'l')
    }

    /// Returns a key that never exists, in the slot of an entry.
    pub(crate) fn nothing(&self, name: EntryName) -> String {
        self.data(name, 'x')
    }

    /// Returns a key that never exists, in one of the slots that `owned` accepts.
    pub(crate) fn nothing_in(&self, owned: impl Fn(u16) -> bool) -> String {
        self.nobody('x', owned)
    }

    /// Returns a key that looks like that of an entry and never exists, in one of the slots that `owned` accepts.
    pub(crate) fn no_entry_in(&self, owned: impl Fn(u16) -> bool) -> String {
        self.nobody('e', owned)
    }

    fn nobody(&self, what: char, owned: impl Fn(u16) -> bool) -> String {
        let keys = (0_u32..).map(|n| format!("{}:{{x{n}}}:{what}", self.prefix));
        // some slot is owned by whoever is asked; a node without any is not asked
        keys.take(1 << 18).find(|key| owned(slot(key))).unwrap_or_else(|| format!("{}:{{x}}:{what}", self.prefix))
    }

    /// Returns a pattern of the names of entries, and of no control key.
    pub(crate) fn entries(&self) -> String {
        format!("{}:{{*}}:e", self.prefix)
    }

    /// Tells whether a key is that of an entry.
    pub(crate) fn is_entry(&self, key: &[u8]) -> bool {
        self.name_of(key).is_some()
    }

    /// Returns the name of an entry, of its key; `None` for any other key.
    pub(crate) fn name_of(&self, key: &[u8]) -> Option<EntryName> {
        let inner = key.strip_prefix(self.prefix.as_bytes())?.strip_prefix(b":{")?;
        let digits: &[u8; 32] = inner.strip_suffix(b"}:e")?.try_into().ok()?;
        let mut name = [0; 16];
        for (byte, pair) in name.iter_mut().zip(digits.chunks_exact(2)) {
            for digit in pair {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                *byte = *byte << 4 | value;
            }
        }
        Some(EntryName::from_bytes(name))
    }

    /// Returns the channel on which a node hears answers.
    pub(crate) fn answers(&self, node: u64) -> String {
        format!("{}:answers:{node:016x}", self.prefix)
    }

    fn data(&self, name: EntryName, what: char) -> String {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut key = String::with_capacity(self.prefix.len() + 37);
        key.push_str(&self.prefix);
        key.push_str(":{");
        for byte in name.to_bytes() {
            key.push(HEX[usize::from(byte >> 4)] as char);
            key.push(HEX[usize::from(byte & 15)] as char);
        }
        key.push_str("}:");
        key.push(what);
        key
    }
}

/// Returns what is in the braces of a key, if that is what its slot is made of.
pub(crate) fn hash_tag(key: &str) -> Option<&str> {
    let (tag, _) = key.split_once('{')?.1.split_once('}')?;
    Some(tag).filter(|tag| !tag.is_empty())
}

/// Returns the slot of a key in a Redis Cluster: CRC16 (XMODEM) of what is in braces, modulo 16,384.
pub(crate) fn slot(key: &str) -> u16 {
    let hashed = hash_tag(key).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    });
    crc & 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_what_redis_says_it_is() {
        // CLUSTER KEYSLOT of Redis 7.0.15
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("foo{hash_tag}"), slot("hash_tag"));
        assert_eq!(slot("foo"), 12182);
    }

    #[test]
    fn all_keys_of_a_lane_share_a_slot_and_so_do_those_of_an_entry() {
        let names = Names::new("strata").unwrap();
        for lane in Lane::all() {
            let keys = names.lane(lane);
            for key in [&keys.header, &keys.marks[0], &keys.marks[1], &keys.stream] {
                assert_eq!(slot(key), keys.slot);
            }
        }
        let name = EntryName::from_bytes([0xa7; 16]);
        assert_eq!(names.entry(name), format!("strata:{{{}}}:e", "a7".repeat(16)));
        assert_eq!(slot(&names.entry(name)), slot(&names.lease(name)));
        assert_eq!(slot(&names.entry(name)), slot(&names.nothing(name)));
        assert_eq!(slot(&names.nothing_in(|slot| slot == 77)), 77);
    }

    #[test]
    fn the_name_of_an_entry_is_told_from_every_other_key() {
        let names = Names::new("strata").unwrap();
        let name = EntryName::from_bytes([0xa7; 16]);
        assert_eq!(names.name_of(names.entry(name).as_bytes()), Some(name));
        let lane = names.lane(Lane::GLOBAL);
        let mut others = vec![names.lease(name), names.nothing(name), names.no_entry_in(|_| true), names.beats.clone()];
        others.extend([&lane.header, &lane.marks[0], &lane.marks[1], &lane.stream].map(Clone::clone));
        others.extend([String::new(), "strata".to_owned(), "strata:{}:e".to_owned()]);
        others.push(names.entry(name).replace("strata", "stratb"));
        others.push(names.entry(name).to_uppercase());
        for other in others {
            assert!(!names.is_entry(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_prefix_that_would_blur_keys_is_refused() {
        for bad in ["", "a:b", "a b", "{a}", "ä", "*", &"x".repeat(33)] {
            assert!(Names::new(bad).is_err(), "{bad}");
        }
        assert!(Names::new("Prod_7-blue").is_ok());
    }
}
