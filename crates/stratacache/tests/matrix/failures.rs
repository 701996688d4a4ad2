//! A tier that refuses a write.

use stratacache::{ErrorKind, Tiers, tier::TierErrorKind};
use stratacache_testkit::faulty::{Fault, On};

use crate::{
    axes::{Level, Writing},
    script::Play,
};

const REFUSED: Fault = Fault::Error(TierErrorKind::Full);

/// Nothing to play where nothing is written below.
pub(crate) async fn a_write_that_a_tier_refuses(play: &Play) {
    let Some((_, lowest, _)) = play.lowest() else { return };
    let (acme, writing, written) = (&play.acme, play.stack.case.writing, play.written());
    play.calm().await; // no other write is to meet it
    // an insert, by the lowest tier, when those above have it
    lowest.next(1, On::Put, REFUSED);
    let inserted = acme.insert("refused insert", Tiers::all()).await;
    play.calm().await;
    if writing.is_strict_for_inserts() {
        assert_eq!(inserted.unwrap_err().kind(), ErrorKind::Full);
        assert!(acme.views("refused insert").await.is_empty(), "the value is in no tier");
        assert!(!acme.has("refused insert").await);
    } else {
        inserted.unwrap();
        assert!(acme.has("refused insert").await);
        play.is_in(acme, "refused insert", &written[..written.len() - 1]).await;
    }
    // a load, by the highest
    play.opened.faults[0].next(1, On::Put, REFUSED);
    assert_eq!(*acme.read("refused load").await, acme.now("refused load"), "whoever asked has the value in any case");
    let others: &[Level] = if writing == Writing::Strict { &[] } else { &written[1..] };
    play.is_in(acme, "refused load", others).await;
    let lost: u64 = play.opened.cache.stats().tiers.iter().map(|tier| tier.writes_lost).sum();
    assert_eq!(lost, if writing == Writing::Behind { 2 } else { 0 }, "what was to be written behind is counted");
}
