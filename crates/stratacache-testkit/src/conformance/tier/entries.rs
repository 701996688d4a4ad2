//! Single entries.

use bytes::Bytes;
use stratacache_core::tier::{PutItem, PutOutcome, Tier};

use super::steps::{envelope, get, name, put, put_many, remove, store};

/// An entry that was put comes back byte for byte, as often as it is read.
pub async fn get_returns_what_was_put<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    for n in 0..20 {
        store(&tier, name(b'a', n), envelope(b'a', n)).await;
    }
    for n in (0..20).chain(0..20) {
        let got = get(&tier, name(b'a', n)).await;
        assert_eq!(got, Some(envelope(b'a', n)), "get returns exactly what was put under the name");
    }
}

/// A name that was never put is absent, and that is no error.
pub async fn what_was_never_put_is_absent<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    store(&tier, name(b'b', 0), envelope(b'b', 0)).await;
    assert_eq!(get(&tier, name(b'b', 1)).await, None, "a name that was never put is absent");
    remove(&tier, name(b'b', 1)).await;
}

/// A later put of a name replaces the entry.
pub async fn a_put_replaces_what_was_there<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    for n in 0..5 {
        store(&tier, name(b'c', 0), envelope(b'c', n)).await;
        assert_eq!(get(&tier, name(b'c', 0)).await, Some(envelope(b'c', n)), "a later put replaces the entry");
    }
}

/// After a removal has returned, the entry is absent; other entries are there.
pub async fn a_removed_entry_is_absent<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    for n in 0..10 {
        store(&tier, name(b'd', n), envelope(b'd', n)).await;
    }
    for n in 0..10 {
        remove(&tier, name(b'd', n)).await;
        assert_eq!(get(&tier, name(b'd', n)).await, None, "when remove_many has returned Ok, the entry is absent");
        if n < 9 {
            let next = get(&tier, name(b'd', n + 1)).await;
            assert_eq!(next, Some(envelope(b'd', n + 1)), "a removal takes no other entry along");
        }
    }
}

/// Envelopes of 0 bytes, 1 byte, around powers of two and of 1 MiB come back whole, up to the largest weight.
pub async fn envelopes_of_any_size_come_back_whole<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    for size in [0_usize, 1, 127, 4095, 4096, 4097, 65_536, 1 << 20] {
        if size as u64 > tier.capability().max_weight {
            continue;
        }
        let bytes: Bytes = (0..size).map(|i| (i % 251) as u8).collect();
        store(&tier, name(b'e', size as u64), bytes.clone()).await;
        let got = get(&tier, name(b'e', size as u64)).await;
        assert!(got == Some(bytes), "an envelope of {size} bytes comes back whole");
    }
}

/// An envelope above the capability's `max_weight` is answered as too large and leaves no trace. Tiers with a limit above
/// 16 MiB are not tried.
pub async fn an_envelope_above_the_largest_weight_is_too_large<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    let limit = tier.capability().max_weight;
    if limit > 16 << 20 {
        return;
    }
    let outcome = put(&tier, name(b'f', 0), vec![7; limit as usize + 1].into(), None).await;
    assert!(matches!(outcome, PutOutcome::TooLarge), "an envelope above max_weight is TooLarge, not {outcome:?}");
    assert_eq!(get(&tier, name(b'f', 0)).await, None, "an envelope that is too large is not stored");
}

/// An entry whose expiry has passed may be there or not; if it is there, it is whole.
pub async fn an_entry_past_its_expiry_is_whole_or_absent<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    put_many(&tier, vec![PutItem::new(name(b'g', 0), envelope(b'g', 0), 1, None)]).await;
    if let Some(bytes) = get(&tier, name(b'g', 0)).await {
        assert_eq!(bytes, envelope(b'g', 0), "an entry past its expiry is whole or absent");
    }
}
