//! What a closed cache leaves behind, and what the next one finds.

use stratacache::{Freshness, Tiers, millis, minutes, seconds};
use stratacache_testkit::faulty::{Fault, On};

use crate::{axes::Level, loads::stale, promotions::put_lowest, script::Play, source::How};

/// What comes back, and is then served fresh.
const KEPT: [&str; 2] = ["kept", "kept too"];
/// What was being written when the cache was closed.
const CLOSING: [&str; 2] = ["being written", "about to be written"];
const STALE: &str = "kept for long";

/// Leaves things in the tiers, and invalidates in every way.
pub(crate) async fn prepare(play: &Play) {
    let Play { opened, acme, globex, .. } = play;
    for how in How::NARROW {
        acme.read(&how.of("left")).await;
    }
    globex.read("left").await;
    play.calm().await;
    for how in How::NARROW {
        acme.change(&opened.cache, how, &how.of("left")).await;
    }
    globex.change(&opened.cache, How::Tenant, "left").await;
    for key in KEPT.into_iter().chain([STALE]) {
        acme.read(key).await;
    }
    acme.insert("inserted", Tiers::all()).await.unwrap();
    put_lowest(play, acme).await;
    play.pass(seconds(60)).await;
    play.calm().await;
    close_in_the_middle(play).await;
}

/// Leaves one value on its way into the lowest tier, and another one behind it, for the close to wait for.
async fn close_in_the_middle(play: &Play) {
    let acme = &play.acme;
    if let Some((_, faults, _)) = play.lowest() {
        let before = faults.calls(On::Put);
        faults.next(1, On::Put, Fault::Slow(millis(5)));
        acme.read(CLOSING[0]).await;
        while faults.calls(On::Put) == before {
            tokio::task::yield_now().await;
        }
    }
    acme.read(CLOSING[1]).await;
}

pub(crate) async fn a_restart_brings_back_only_what_is_valid(play: &Play) {
    let Play { opened, acme, globex, stack } = play;
    for how in How::NARROW {
        assert!(!acme.has(&how.of("left")).await, "{how:?}: what was invalidated stays gone");
    }
    assert!(!globex.has("left").await, "a tenant that was cleared stays empty");
    assert!(!globex.has("kept").await, "it is another tenant's");
    let kept = stack.case.survives_restarts();
    assert_eq!(acme.has("kept").await, kept, "kept where something keeps it");
    for key in CLOSING.into_iter().chain(["inserted"]) {
        assert_eq!(acme.has(key).await, kept, "{key}");
    }
    let loads = acme.loads();
    let again = acme.read("kept too").await;
    let expected = if kept { (loads, Freshness::Fresh) } else { (loads + 1, Freshness::Loaded) };
    assert_eq!((acme.loads(), again.freshness()), expected);
    assert_eq!(again.value(), &acme.now("kept too"));
    // what was read from one tier that kept it is not of use in one that did not
    let below: Vec<Level> =
        play.written().iter().copied().filter(|level| !kept || stack.case.keeps_over_restarts(*level)).collect();
    play.is_in(acme, "kept too", &below).await;
    // an invalidation of the new run is newer than every entry of the old one
    acme.change(&opened.cache, How::Tag, "kept").await;
    assert!(acme.views("kept").await.is_empty());
}

/// Nothing but the tiers below has it, and it is past its ttl.
pub(crate) async fn what_was_kept_is_served_stale_and_then_ends(play: &Play) {
    let acme = &play.acme;
    if play.stack.case.survives_restarts() {
        stale(acme, STALE).await;
        play.pass(minutes(60)).await;
    }
    assert!(acme.read_in_vain(STALE).await.is_none(), "past its stale window there is nothing");
}
