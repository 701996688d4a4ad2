//! The steps that clauses are made of; each checks the shape of its reply.

use bytes::Bytes;
use stratacache_core::{
    EntryName,
    clock::Millis,
    tier::{Fence, GetMany, Got, PutItem, PutMany, PutOutcome, RemoveMany, Tier},
};

/// A time that no tier's clock reaches.
pub(super) const FAR: Millis = 1 << 45;

/// Makes a name from a clause's letter and a number, spread over all 16 bytes as real names are.
pub(super) fn name(clause: u8, n: u64) -> EntryName {
    let low = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let high = low.rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ u64::from(clause);
    EntryName::from_bytes((u128::from(high) << 64 | u128::from(low)).to_le_bytes())
}

/// Makes an envelope that is told from all others by its clause and number.
pub(super) fn envelope(clause: u8, n: u64) -> Bytes {
    [&[clause][..], &n.to_le_bytes(), b" envelope"].concat().into()
}

pub(super) async fn get_many(tier: &impl Tier, names: Vec<EntryName>) -> Vec<Got> {
    let asked = names.len();
    let got = tier.get_many(GetMany::new(names)).await.unwrap_or_else(|e| panic!("get_many failed: {e}"));
    assert_eq!(got.len(), asked, "get_many answers one Got for each name");
    got
}

pub(super) async fn get(tier: &impl Tier, name: EntryName) -> Option<Bytes> {
    get_many(tier, vec![name]).await.remove(0).envelope
}

/// Reads a fence, and checks that a tier which says it is fenced gives one.
pub(super) async fn fence(tier: &impl Tier, name: EntryName) -> Option<Fence> {
    let got = tier.get_many(GetMany::fences(vec![name])).await.unwrap_or_else(|e| panic!("get_many failed: {e}"));
    assert_eq!(got.len(), 1, "get_many answers one Got for each name");
    assert!(
        !tier.capability().fenced || got[0].fence.is_some(),
        "a tier that says it is fenced gives a fence with every read for fences"
    );
    got[0].fence
}

pub(super) async fn put_many(tier: &impl Tier, items: Vec<PutItem>) -> Vec<PutOutcome> {
    let asked = items.len();
    let outcomes = tier.put_many(PutMany::new(items)).await.unwrap_or_else(|e| panic!("put_many failed: {e}"));
    assert_eq!(outcomes.len(), asked, "put_many answers one outcome for each item");
    outcomes
}

pub(super) async fn put(tier: &impl Tier, name: EntryName, envelope: Bytes, fence: Option<Fence>) -> PutOutcome {
    put_many(tier, vec![PutItem::new(name, envelope, FAR, fence)]).await.remove(0)
}

pub(super) async fn store(tier: &impl Tier, name: EntryName, envelope: Bytes) {
    let outcome = put(tier, name, envelope, None).await;
    assert!(matches!(outcome, PutOutcome::Stored), "a put without a fence is stored, not {outcome:?}");
}

pub(super) async fn remove_many(tier: &impl Tier, names: Vec<EntryName>) {
    let asked = names.len();
    let results = tier.remove_many(RemoveMany::new(names)).await.unwrap_or_else(|e| panic!("remove_many failed: {e}"));
    assert_eq!(results.len(), asked, "remove_many answers one result for each name");
    results.into_iter().for_each(|result| result.unwrap_or_else(|e| panic!("remove_many failed for a name: {e}")));
}

pub(super) async fn remove(tier: &impl Tier, name: EntryName) {
    remove_many(tier, vec![name]).await;
}
