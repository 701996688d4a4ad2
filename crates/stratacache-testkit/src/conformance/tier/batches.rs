//! Batches.

use stratacache_core::{
    EntryName,
    tier::{PutItem, PutOutcome, Tier},
};

use super::steps::{FAR, envelope, get, get_many, name, put_many, remove_many};

/// Replies are in the order of the request, with hits and absences mixed, up to a thousand names.
pub async fn a_batch_is_answered_in_its_order<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    let stored = |n: u64| n % 3 != 1;
    let items = (0..1_000).filter(|n| stored(*n));
    let items: Vec<PutItem> = items.map(|n| PutItem::new(name(b'h', n), envelope(b'h', n), FAR, None)).collect();
    for outcome in put_many(&tier, items).await {
        assert!(matches!(outcome, PutOutcome::Stored), "every item of a good batch is stored, not {outcome:?}");
    }
    let order: Vec<u64> = (0..1_000).map(|i| i * 617 % 1_000).collect();
    let names: Vec<EntryName> = order.iter().map(|n| name(b'h', *n)).collect();
    for (n, got) in order.iter().zip(get_many(&tier, names).await) {
        let wanted = stored(*n).then(|| envelope(b'h', *n));
        assert_eq!(got.envelope, wanted, "get_many answers in the order of the names");
    }
    remove_many(&tier, (0..1_000).filter(|n| n % 2 == 0).map(|n| name(b'h', n)).collect()).await;
    for (n, got) in (0..1_000).zip(get_many(&tier, (0..1_000).map(|n| name(b'h', n)).collect()).await) {
        let wanted = (stored(n) && n % 2 == 1).then(|| envelope(b'h', n));
        assert_eq!(got.envelope, wanted, "remove_many removes the names it was given and no others");
    }
}

/// Empty batches are answered with empty replies.
pub async fn an_empty_batch_is_answered_empty<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    get_many(&tier, Vec::new()).await;
    put_many(&tier, Vec::new()).await;
    remove_many(&tier, Vec::new()).await;
}

/// A name that occurs twice in a batch is answered twice, and ends up with one of its envelopes or absent.
pub async fn a_name_twice_in_a_batch_is_answered_twice<T: Tier>(make: impl AsyncFn() -> T) {
    let tier = make().await;
    let (twice, other) = (name(b'i', 0), name(b'i', 1));
    let item = |name, n| PutItem::new(name, envelope(b'i', n), FAR, None);
    put_many(&tier, vec![item(twice, 0), item(other, 1), item(twice, 2)]).await;
    let got = get_many(&tier, vec![twice, twice, other, twice]).await;
    assert!(
        got[0].envelope == Some(envelope(b'i', 0)) || got[0].envelope == Some(envelope(b'i', 2)),
        "a name put twice in a batch holds one of its two envelopes"
    );
    assert!(
        got[1].envelope == got[0].envelope && got[3].envelope == got[0].envelope,
        "a name asked for several times in a batch gets the same answer each time"
    );
    assert_eq!(got[2].envelope, Some(envelope(b'i', 1)), "get_many answers in the order of the names");
    remove_many(&tier, vec![twice, other, twice]).await;
    assert_eq!(get(&tier, twice).await, None, "a name removed twice in a batch is absent");
}
