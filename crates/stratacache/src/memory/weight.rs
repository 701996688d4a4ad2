//! What an entry weighs.
//!
//! `weight = 16 + key + size_of(entry) + heap of the value + tags of its own + 152`
//!
//! where the entry is 16 bytes of counters, the metadata and the value itself, and the last term is the share of the
//! map: a slot of the linked list and of the hash table with the slack of their growth, and the remembered keys of
//! evicted entries. A test holds the formula to a counting allocator.

use super::{Entry, MapKey, entry::EntryScopes};

/// The map's share of an entry, measured with 100-byte values: 72 bytes of slot, 9 of table, growth slack and ghosts.
const MAP_SHARE: usize = 152;
/// The two counters in front of every shared block.
const COUNTERS: usize = 2 * size_of::<usize>();

/// Weighs an entry; `value` is what the value takes in all, its own `size_of` included.
pub(crate) fn entry_weight<V>(key: &MapKey, value: usize, scopes: &EntryScopes) -> u64 {
    let entry = (size_of::<Entry<V>>() - size_of::<V>()) + value;
    (COUNTERS + key.weight() + COUNTERS + entry + scopes.weight() + MAP_SHARE) as u64
}
