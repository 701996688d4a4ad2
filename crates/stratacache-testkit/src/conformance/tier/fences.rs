//! Fences. What a tier without them must do is in the first two clauses; the others pass it by.
//!
//! Where fences are leases (`Capability::leased`) a read for the envelope brings none, a fence is good for one put, and a
//! newer one of the same name voids it. All else is the same for both kinds.

use stratacache_core::tier::{GetMany, PutItem, PutOutcome, Tier};

use super::steps::{FAR, envelope, fence, get, get_many, name, put, put_many, remove, store};

/// A put without a fence is stored whatever was removed before.
pub async fn a_put_without_a_fence_is_stored<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    let name = name(b'j', 0);
    remove(&tier, name).await;
    store(&tier, name, envelope(b'j', 0)).await;
    remove(&tier, name).await;
    store(&tier, name, envelope(b'j', 1)).await;
    assert_eq!(get(&tier, name).await, Some(envelope(b'j', 1)), "a put without a fence is stored");
}

/// A read for fences only returns no envelope; a fenced tier gives a good fence with it and, unless its fences are leases,
/// with every other read.
pub async fn a_read_for_fences_only_returns_no_envelope<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    let (there, absent) = (name(b'k', 0), name(b'k', 1));
    store(&tier, there, envelope(b'k', 0)).await;
    let got = tier.get_many(GetMany::fences(vec![there, absent])).await;
    let got = got.unwrap_or_else(|e| panic!("get_many for fences failed: {e}"));
    assert_eq!(got.len(), 2, "get_many answers one Got for each name");
    assert!(got.iter().all(|g| g.envelope.is_none()), "a read for fences only returns no envelope");
    if !tier.capability().fenced {
        return;
    }
    if tier.capability().leased {
        for at in [there, absent] {
            let with_envelope = get_many(&tier, vec![at]).await.remove(0).fence;
            assert!(with_envelope.is_none(), "a read for the envelope brings no lease: the coordinator grants those");
        }
        return;
    }
    for (at, n) in [(there, 1), (absent, 2)] {
        let with_envelope = get_many(&tier, vec![at]).await.remove(0).fence;
        assert!(
            with_envelope.is_some(),
            "a read for the envelope brings a fence too, whether there is an entry or not"
        );
        let fences = fence(&tier, at).await;
        for good in [with_envelope, fences] {
            let outcome = put(&tier, at, envelope(b'k', n), good).await;
            assert!(
                matches!(outcome, PutOutcome::Stored),
                "a put under a good fence is stored, also after another put, not {outcome:?}"
            );
        }
        assert_eq!(get(&tier, at).await, Some(envelope(b'k', n)), "what is put under a good fence is there");
    }
}

/// A fence taken before a removal is void after it: the put stores nothing and is answered as fenced.
pub async fn a_fence_is_void_after_a_removal<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    if !tier.capability().fenced {
        return;
    }
    let name = name(b'l', 0);
    store(&tier, name, envelope(b'l', 0)).await;
    let by_get = match tier.capability().leased {
        true => fence(&tier, name).await, // as void as the other: there is a newer one
        false => get_many(&tier, vec![name]).await.remove(0).fence,
    };
    let by_fence = fence(&tier, name).await;
    remove(&tier, name).await;
    for void in [by_get, by_fence] {
        let outcome = put(&tier, name, envelope(b'l', 1), void).await;
        assert!(matches!(outcome, PutOutcome::Fenced), "a put under a void fence is Fenced, not {outcome:?}");
        assert_eq!(get(&tier, name).await, None, "a put under a void fence stores nothing");
    }
    store(&tier, name, envelope(b'l', 2)).await;
    let outcome = put(&tier, name, envelope(b'l', 3), by_get).await;
    assert!(
        matches!(outcome, PutOutcome::Fenced),
        "a void fence stays void when the name is put again, not {outcome:?}"
    );
    assert_eq!(get(&tier, name).await, Some(envelope(b'l', 2)), "a put under a void fence leaves what is there");
}

/// A fence of a name without an entry is void after a removal of that name, although nothing was there to remove.
pub async fn a_fence_of_an_absent_name_is_void_after_a_removal<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    if !tier.capability().fenced {
        return;
    }
    let name = name(b'm', 0);
    let before = fence(&tier, name).await;
    remove(&tier, name).await;
    let outcome = put(&tier, name, envelope(b'm', 0), before).await;
    assert!(
        matches!(outcome, PutOutcome::Fenced),
        "removing an absent name voids its fences: a load may be under way; the put was {outcome:?}"
    );
    assert_eq!(get(&tier, name).await, None, "a put under a void fence stores nothing");
}

/// Where fences are leases, each is good for one put: a second one under it is fenced, and changes nothing.
pub async fn a_lease_is_good_for_one_put<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    if !tier.capability().leased {
        return;
    }
    for n in 0..5 {
        let name = name(b'w', n);
        if n > 2 {
            store(&tier, name, envelope(b'w', 90)).await;
        }
        let lease = fence(&tier, name).await;
        let first = put(&tier, name, envelope(b'w', n), lease).await;
        assert!(matches!(first, PutOutcome::Stored), "the first put under a lease is stored, not {first:?}");
        let second = put(&tier, name, envelope(b'w', 91), lease).await;
        assert!(matches!(second, PutOutcome::Fenced), "a lease is good for one put, the second was {second:?}");
        assert_eq!(get(&tier, name).await, Some(envelope(b'w', n)), "a put under a used lease changes nothing");
    }
}

/// Where fences are leases, one taken later voids the earlier ones of the same name, and of no other.
pub async fn a_newer_lease_voids_the_older<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    if !tier.capability().leased {
        return;
    }
    let (name, other) = (name(b'x', 0), name(b'x', 1));
    let elsewhere = fence(&tier, other).await;
    let older = fence(&tier, name).await;
    let newer = fence(&tier, name).await;
    assert_ne!(older, newer, "no two leases are the same");
    let outcome = put(&tier, name, envelope(b'x', 0), older).await;
    assert!(matches!(outcome, PutOutcome::Fenced), "a newer lease voids the older one, the put was {outcome:?}");
    assert_eq!(get(&tier, name).await, None, "a put under a lease that was taken away stores nothing");
    for (at, lease) in [(name, newer), (other, elsewhere)] {
        let outcome = put(&tier, at, envelope(b'x', 1), lease).await;
        assert!(matches!(outcome, PutOutcome::Stored), "the newest lease of a name is good, not {outcome:?}");
    }
}

/// A fence taken after a removal is good.
pub async fn a_fresh_fence_after_a_removal_is_good<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    let name = name(b'n', 0);
    for n in 0..5 {
        remove(&tier, name).await;
        let fresh = fence(&tier, name).await;
        let outcome = put(&tier, name, envelope(b'n', n), fresh).await;
        assert!(matches!(outcome, PutOutcome::Stored), "a fence taken after the removal is good, not {outcome:?}");
        assert_eq!(get(&tier, name).await, Some(envelope(b'n', n)), "what is put under a good fence is there");
    }
}

/// Removing one name leaves the fences of other names good.
pub async fn a_fence_survives_other_removals<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    let mine = fence(&tier, name(b'o', 0)).await;
    for n in 1..50 {
        remove(&tier, name(b'o', n)).await;
    }
    let outcome = put(&tier, name(b'o', 0), envelope(b'o', 0), mine).await;
    assert!(matches!(outcome, PutOutcome::Stored), "removals of 49 other names leave a fence good, not {outcome:?}");
}

/// In a batch, an item under a void fence stops nobody else.
pub async fn a_void_fence_in_a_batch_stops_only_its_own_item<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    if !tier.capability().fenced {
        return;
    }
    let mut items = Vec::new();
    for n in 0..10 {
        let fence = fence(&tier, name(b'p', n)).await;
        items.push(PutItem::new(name(b'p', n), envelope(b'p', n), FAR, fence));
    }
    for n in [2, 7] {
        remove(&tier, name(b'p', n)).await;
    }
    for (n, outcome) in (0..10).zip(put_many(&tier, items).await) {
        let void = n == 2 || n == 7;
        let right = if void { matches!(outcome, PutOutcome::Fenced) } else { matches!(outcome, PutOutcome::Stored) };
        assert!(right, "in a batch only items under void fences are Fenced, item {n} was {outcome:?}");
        let wanted = (!void).then(|| envelope(b'p', n));
        assert_eq!(get(&tier, name(b'p', n)).await, wanted, "outcomes tell what is stored");
    }
}
