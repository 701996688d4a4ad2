//! What an entry weighs.
//!
//! `weight = block(key) + block(16 + entry + value) + heap of the value + block(16 + scopes) + block(16 * tags)`
//!
//! where a key of up to 30 encoded bytes lies in the entry and has no block, the entry is its metadata, 16 are the two counters of a shared
//! block, the last two are there only for the first of the entries that share a list of tags, and `block` is what an allocator takes for so many bytes:
//! 8 more, rounded up to 16.
//!
//! An entry that is held as bytes has a block for these in place of a value: `block(key) + block(16 + packed entry) + block(body) + ..`.
//!
//! The shards' own blocks (table, queues, what they remember of evicted entries) are not part of an entry: a partition is
//! charged for them as they are. Tests hold both to a counting allocator.

use super::{Entry, MapKey, Packed, entry::EntryScopes};

/// The two counters in front of every shared block.
const COUNTERS: usize = 2 * size_of::<usize>();

/// Bytes that an allocator takes for a block.
pub(super) const fn block(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16)
}

/// Weighs an entry, once; `value` is what the value takes in all, its own `size_of` included.
pub(crate) fn entry_weight<V>(key: &MapKey, value: usize, scopes: &EntryScopes) -> u64 {
    let entry = block(COUNTERS + size_of::<Entry<V>>()) + value.saturating_sub(size_of::<V>());
    (key_block(key) + entry + scopes.charge()) as u64
}

/// Weighs an entry that is held as so many bytes, once.
pub(crate) fn packed_weight<V: 'static>(key: &MapKey, body: usize, scopes: &EntryScopes) -> u64 {
    let entry = block(COUNTERS + size_of::<Packed<V>>()) + block(body);
    (key_block(key) + entry + scopes.charge()) as u64
}

fn key_block(key: &MapKey) -> usize {
    if key.weight() > 0 { block(key.weight()) } else { 0 }
}
