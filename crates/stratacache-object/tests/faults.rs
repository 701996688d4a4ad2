//! A store that is slow, busy, out of order, lying or gone costs a bounded time and memory, and never a wrong answer.
#![allow(clippy::unwrap_used)] // everything here is a test

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{BUCKET, FAR, Stage, name, on};
use stratacache_core::tier::{GetMany, PutItem, PutMany, PutOutcome, Tier, TierErrorKind, TierParts};
use stratacache_object::ObjectBuilder;
use stratacache_testkit::{
    clock::ManualClock,
    s3::{HttpFault, HttpProxy, Moto, Requests, S3Server, Times},
};

/// Hours of patience, so that no deadline of a busy machine takes part.
fn patient(builder: ObjectBuilder) -> ObjectBuilder {
    builder.deadline(Duration::from_secs(60)).breaker_window(Duration::from_secs(3600))
}

/// What must not be tried again.
fn once(builder: ObjectBuilder) -> ObjectBuilder {
    patient(builder).retries(0)
}

#[tokio::test]
async fn a_store_that_is_busy_is_asked_again() {
    let stage = Stage::new(patient).await;
    for (status, code) in [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests")] {
        for method in ["PUT", "GET", "DELETE"] {
            stage.proxy.reset_counts();
            stage.proxy.fail(Requests::of(method), HttpFault::status(status, code), Times::Next(1));
            stage.put(name(1), b"value").await.unwrap();
            assert_eq!(stage.get(name(1)).await.unwrap().unwrap(), "value");
            stage.remove(name(1)).await.unwrap();
            assert_eq!(stage.get(name(1)).await, Ok(None));
            assert_eq!(stage.proxy.requests(), 5, "{method} {status}: four requests, and one again");
            stage.proxy.heal();
        }
        // what retries cost is earned again
        for _ in 0..30 {
            stage.get(name(1)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_that_stays_out_of_order_is_left_alone_and_retries_have_a_budget() {
    let stage = Stage::new(patient).await;
    stage.proxy.fail(Requests::all(), HttpFault::status(503, "SlowDown"), Times::Always);
    for _ in 0..20 {
        assert_eq!(stage.get(name(1)).await, Err(TierErrorKind::Unavailable));
    }
    // half of a window's operations, and at least five
    assert!(stage.proxy.requests() <= 10, "{} requests", stage.proxy.requests());
}

#[tokio::test]
async fn the_retries_of_all_operations_together_have_a_budget() {
    // a breaker whose window has passed whenever it looks never opens: only the budget is left
    let stage = Stage::new(|builder| patient(builder).breaker_window(Duration::from_nanos(1))).await;
    stage.proxy.fail(Requests::all(), HttpFault::status(503, "SlowDown"), Times::Always);
    for _ in 0..20 {
        assert_eq!(stage.get(name(1)).await, Err(TierErrorKind::Unavailable));
    }
    assert_eq!(stage.proxy.requests(), 20 + 10);
}

#[tokio::test]
async fn a_refusal_is_an_error_with_the_word_for_it_and_nothing_else() {
    let stage = Stage::new(once).await;
    stage.proxy.fail(Requests::all(), HttpFault::status(403, "AccessDenied"), Times::Always);
    let error = stage.tier.get_many(GetMany::new(vec![name(1)])).await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable);
    assert!(error.to_string().contains("403 AccessDenied"), "{error}");
    assert!(!format!("{error} {error:?}").contains("so the test wants"), "{error:?}");
}

#[tokio::test]
async fn a_hung_store_costs_its_deadline_once() {
    let stage = Stage::new(|builder| once(builder).probe(false).deadline(Duration::from_millis(500))).await;
    stage.proxy.fail(Requests::all(), HttpFault::Hang, Times::Always);
    assert_eq!(stage.get(name(1)).await, Err(TierErrorKind::Timeout));
    for _ in 0..100 {
        assert_eq!(stage.get(name(1)).await, Err(TierErrorKind::Unavailable));
        assert_eq!(stage.put(name(1), b"value").await, Err(TierErrorKind::Unavailable));
    }
    assert_eq!(stage.proxy.requests(), 1);
}

#[tokio::test]
async fn a_write_that_hangs_says_that_it_may_be_done_later() {
    for fault in [HttpFault::Hang, HttpFault::HangReply] {
        let stage = Stage::new(|builder| once(builder).deadline(Duration::from_secs(1))).await;
        stage.proxy.fail(Requests::of("PUT"), fault, Times::Next(1));
        assert_eq!(stage.put(name(1), b"value").await, Err(TierErrorKind::ReplyLost));
        assert_eq!(stage.remove(name(1)).await, Err(TierErrorKind::Unavailable), "the store is left alone");
    }
}

#[tokio::test]
async fn a_trickle_ends_with_the_deadline() {
    let stage = Stage::new(|builder| once(builder).deadline(Duration::from_secs(1))).await;
    stage.put(name(1), &[7; 64 << 10]).await.unwrap();
    stage.proxy.fail(Requests::of("GET"), HttpFault::Slow(1024), Times::Always);
    assert_eq!(stage.get(name(1)).await, Err(TierErrorKind::Timeout));
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_says_that_it_may_have_been_done() {
    let stage = Stage::new(once).await;
    stage.proxy.fail(Requests::of("PUT"), HttpFault::LoseReply, Times::Next(1));
    assert_eq!(stage.put(name(1), b"value").await, Err(TierErrorKind::ReplyLost));
    assert!(stage.object(name(1)).is_some(), "it was done");
    stage.proxy.fail(Requests::of("PUT"), HttpFault::Cut, Times::Next(1));
    assert_eq!(stage.put(name(2), b"value").await, Err(TierErrorKind::ReplyLost), "nobody can tell");
    stage.proxy.fail(Requests::of("DELETE"), HttpFault::LoseReply, Times::Next(1));
    assert_eq!(stage.remove(name(1)).await, Err(TierErrorKind::ReplyLost));
    assert_eq!(stage.object(name(1)), None, "it was done");
}

#[tokio::test]
async fn what_is_cut_off_is_never_returned() {
    let stage = Stage::new(once).await;
    let whole = vec![7; 4096];
    stage.put(name(1), &whole).await.unwrap();
    for bytes in [0, 1, 23, 24, 25, 1024, 4096 + 23] {
        stage.proxy.fail(Requests::of("GET"), HttpFault::Truncate(bytes), Times::Next(1));
        assert_eq!(stage.get(name(1)).await, Err(TierErrorKind::Unavailable), "the connection broke after {bytes}");
        // whole as far as HTTP can tell
        stage.proxy.fail(Requests::of("GET"), HttpFault::ShortenTo(bytes), Times::Next(1));
        assert_eq!(stage.get(name(1)).await, Ok(None), "shortened to {bytes}");
        assert_eq!(stage.get(name(1)).await.unwrap().unwrap(), whole);
    }
    // a connection that breaks is tried again
    let stage = Stage::new(patient).await;
    stage.put(name(1), &whole).await.unwrap();
    stage.proxy.fail(Requests::of("GET"), HttpFault::Truncate(100), Times::Next(1));
    assert_eq!(stage.get(name(1)).await.unwrap().unwrap(), whole);
}

#[tokio::test]
async fn an_object_that_claims_to_be_huge_is_a_miss_at_once() {
    let stage = Stage::new(once).await;
    stage.put(name(1), &[7; 1000]).await.unwrap();
    for claimed in [10 << 30, 1 << 62, (16 << 20) + 25] {
        stage.proxy.fail(Requests::of("GET"), HttpFault::ClaimLength(claimed), Times::Next(1));
        assert_eq!(stage.get(name(1)).await, Ok(None), "{claimed} bytes");
        stage.proxy.fail(Requests::of("GET"), HttpFault::Flood(claimed), Times::Next(1));
        assert_eq!(stage.get(name(1)).await, Ok(None), "{claimed} bytes");
    }
    // one that somebody else has put there
    let large = stage.server.file(BUCKET, &format!("cache/{}", common::called(name(1))));
    std::fs::write(large, vec![7; (16 << 20) + 25]).unwrap();
    assert_eq!(stage.get(name(1)).await, Ok(None));
}

#[tokio::test]
async fn the_flood_of_a_refusal_is_not_read() {
    let stage = Stage::new(once).await;
    let body = format!("<Error><Code>SlowDown</Code>{}</Error>", "x".repeat(64 << 20));
    stage.proxy.fail(Requests::of("GET"), HttpFault::Answer { status: 503, body }, Times::Next(1));
    let error = stage.tier.get_many(GetMany::new(vec![name(1)])).await.unwrap_err();
    assert!(error.to_string().contains("503 SlowDown"), "{error}");
}

#[tokio::test]
async fn what_is_not_ours_is_a_miss() {
    let stage = Stage::new(once).await;
    stage.put(name(1), b"value").await.unwrap();
    let file = stage.server.file(BUCKET, &format!("cache/{}", common::called(name(1))));
    for bytes in [&b""[..], b"hello", &[0; 24], &[0xff; 100]] {
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(stage.get(name(1)).await, Ok(None));
    }
}

#[tokio::test]
async fn a_partial_failure_names_its_items() {
    let stage = Stage::new(once).await;
    stage.proxy.fail(Requests::of("PUT").path(common::called(name(2))), HttpFault::status(500, "X"), Times::Always);
    let item = |n| PutItem::new(name(n), Bytes::from_static(b"value"), FAR, None);
    let outcomes = stage.tier.put_many(PutMany::new(vec![item(1), item(2), item(3)])).await.unwrap();
    let failed =
        |outcome: &PutOutcome| matches!(outcome, PutOutcome::Failed(e) if e.kind() == TierErrorKind::ReplyLost);
    assert_eq!(outcomes.iter().map(failed).collect::<Vec<_>>(), [false, true, false]);
    stage.proxy.fail(Requests::of("GET").path(common::called(name(1))), HttpFault::status(500, "X"), Times::Always);
    let got = stage.tier.get_many(GetMany::new(vec![name(1), name(2), name(3)])).await.unwrap();
    let there: Vec<bool> = got.iter().map(|got| got.envelope.is_some()).collect();
    assert_eq!(there, [false, false, true], "what cannot be read is a miss among others");
}

#[tokio::test]
async fn an_entry_ends_its_life_by_what_it_says_itself() {
    let clock = ManualClock::new();
    let stage = Stage::new(|builder| once(builder).clock(clock.clone())).await;
    let now = stratacache_core::clock::Clock::wall(&clock).as_millis() as u64;
    let item = PutItem::new(name(1), Bytes::from_static(b"value"), now + 5_000, None);
    stage.tier.put_many(PutMany::new(vec![item])).await.unwrap();
    clock.advance(Duration::from_millis(4_999));
    assert_eq!(stage.get(name(1)).await.unwrap().unwrap(), "value");
    clock.advance(Duration::from_millis(1));
    assert_eq!(stage.get(name(1)).await, Ok(None));
}

#[tokio::test]
async fn a_fill_of_what_was_absent_does_not_take_the_place_of_what_came_meanwhile() {
    let stage = Stage::new(once).await;
    let seen = stage.tier.get_many(GetMany::new(vec![name(1)])).await.unwrap().remove(0);
    assert!(seen.fence.is_some(), "the server was seen to refuse to create what is there");
    stage.put(name(1), b"newer").await.unwrap();
    let late = PutItem::new(name(1), Bytes::from_static(b"older"), FAR, seen.fence);
    let outcomes = stage.tier.put_many(PutMany::new(vec![late])).await.unwrap();
    assert!(matches!(outcomes[0], PutOutcome::Fenced), "{outcomes:?}");
    assert_eq!(stage.get(name(1)).await.unwrap().unwrap(), "newer");
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_not_relied_on() {
    let server = Moto::start(&[BUCKET]).await.unwrap(); // it checks no signature
    let proxy = HttpProxy::start(server.addr(), 42).await.unwrap();
    let open = async || once(on(&proxy.url(), "cache")).open().await.unwrap();
    assert!(open().await.creates());
    proxy.fail(Requests::of("PUT"), HttpFault::WithoutHeader("if-none-match"), Times::Always);
    let object = open().await;
    assert!(!object.creates(), "it wrote what was there again");
    let tier = TierParts::from(object).tier;
    let seen = tier.get_many(GetMany::new(vec![name(1)])).await.unwrap().remove(0);
    assert_eq!(seen.fence, None);
    proxy.heal();
    proxy.fail(Requests::of("PUT"), HttpFault::status(501, "NotImplemented"), Times::Next(1));
    assert!(!open().await.creates(), "it does not know conditions");
    proxy.heal();
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_an_error_that_says_what_to_do() {
    let server = S3Server::start(&[BUCKET]).await.unwrap();
    let proxy = HttpProxy::start(server.addr(), 42).await.unwrap();
    let open = async || once(on(&proxy.url(), "cache")).open().await;
    proxy.fail(Requests::of("GET"), HttpFault::status(403, "AccessDenied"), Times::Always);
    let error = open().await.unwrap_err();
    assert!(error.to_string().contains("ListBucket"), "{error}");
    proxy.heal();
    proxy.fail(Requests::all(), HttpFault::Cut, Times::Always);
    assert!(open().await.is_err());
    proxy.heal();
    let wrong = once(on(&proxy.url(), "cache")).access_key(S3Server::ACCESS_KEY, "wrong").open().await;
    assert!(wrong.unwrap_err().to_string().contains("403"));
    let unasked = on(&proxy.url(), "cache").probe(false).open().await.unwrap();
    assert!(!unasked.creates());
}

#[tokio::test]
async fn an_old_object_that_is_played_back_is_what_the_tier_returns() {
    // the tier does not know: the engine judges by the stamp, see the tests of stratacache
    let stage = Stage::new(once).await;
    stage.proxy.remember();
    stage.put(name(1), b"old").await.unwrap();
    assert_eq!(stage.get(name(1)).await.unwrap().unwrap(), "old");
    stage.put(name(1), b"new").await.unwrap();
    stage.proxy.fail(Requests::of("GET"), HttpFault::Replay, Times::Next(1));
    assert_eq!(stage.get(name(1)).await.unwrap().unwrap(), "old");
    assert_eq!(stage.get(name(1)).await.unwrap().unwrap(), "new");
}
