//! What a store claims, and how much it sends, takes no memory.
#![allow(clippy::unwrap_used)] // everything here is a test

mod common;

use std::time::Duration;

use common::{Stage, name};
use peak_alloc::PeakAlloc;
use stratacache_core::tier::TierErrorKind;
use stratacache_testkit::s3::{HttpFault, Requests, Times};

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// The only test of this program: nothing else allocates beside it.
#[tokio::test]
async fn a_body_that_claims_to_be_ten_gibibytes_takes_less_than_sixteen_mebibytes() {
    let stage = Stage::new(|builder| {
        builder.deadline(Duration::from_secs(2)).breaker_window(Duration::from_nanos(1)).retries(0).max_weight(8 << 20)
    })
    .await;
    stage.put(name(1), &[7; 1000]).await.unwrap();
    let all = |fault| stage.proxy.fail(Requests::all(), fault, Times::Always);
    let before = PEAK.current_usage();
    for (fault, expected) in [
        (HttpFault::ClaimLength(10 << 30), Ok(None)),
        (HttpFault::Flood(10 << 30), Ok(None)),
        // as much as an object may have, of which nothing comes
        (HttpFault::ClaimLength((8 << 20) + 24), Err(TierErrorKind::Timeout)),
        // as much as an object may have, and none of ours
        (HttpFault::Flood((8 << 20) + 24), Ok(None)),
    ] {
        PEAK.reset_peak_usage();
        all(fault.clone());
        assert_eq!(stage.get(name(1)).await, expected, "{fault:?}");
        let extra = PEAK.peak_usage().saturating_sub(before);
        assert!(extra < 16 << 20, "{fault:?}: {extra} bytes");
        stage.proxy.heal();
    }
}
