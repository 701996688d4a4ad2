//! The source does what tests rely on.

use std::{future::Future, pin::pin, task::Poll};

use super::{FakeSource, SourceError};

fn prices() -> FakeSource<String, u32> {
    FakeSource::new([("apple".to_owned(), 3)])
}

async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())).await
}

#[tokio::test]
async fn a_read_is_counted_when_it_begins_whatever_comes_of_it() {
    let prices = prices();
    prices.fail_next(1);
    assert_eq!(prices.read("apple").await, Err(SourceError::Down));
    assert_eq!(prices.read("plum").await, Err(SourceError::NoRow));
    assert_eq!(prices.read("apple").await, Ok(3));
    drop(prices.read("apple")); // was never polled: it did not begin
    prices.assert_reads(3);
    prices.assert_reads_of(&"apple".to_owned(), 2);
    assert_eq!((prices.peek(&"apple".to_owned()), prices.reads()), (Some(3), 3));
}

#[tokio::test]
async fn a_held_read_answers_with_what_it_saw_before_the_write() {
    let prices = prices();
    let held = prices.hold();
    let mut read = pin!(prices.read("apple"));
    assert!(is_pending(&mut read).await);
    held.until(1).await;
    assert_eq!(prices.write("apple", 5_u32), Some(3));
    assert!(is_pending(&mut read).await);
    held.release();
    assert_eq!(read.await, Ok(3));
    assert_eq!(prices.read("apple").await, Ok(5), "nothing is held any more");
}

#[tokio::test]
async fn reads_wait_for_the_last_guard_and_a_dropped_read_is_not_held() {
    let prices = prices();
    let (first, second) = (prices.hold(), prices.hold());
    let mut read = Box::pin(prices.find("apple"));
    let mut given_up = Box::pin(prices.find("apple"));
    assert!(is_pending(&mut read).await && is_pending(&mut given_up).await);
    second.until(2).await;
    drop(given_up);
    assert_eq!(format!("{prices:?}"), "FakeSource { held: 1, .. }");
    first.release();
    first.release(); // once more does nothing
    drop(first);
    assert!(is_pending(&mut read).await);
    drop(second);
    assert_eq!(read.await, Ok(Some(3)));
}

#[tokio::test]
#[should_panic(expected = "the source was read 1 times, and not 2; by row: {\"apple\": 1}")]
async fn a_failed_assertion_says_which_rows_were_read() {
    let prices = prices();
    prices.read("apple").await.expect("it is there");
    prices.assert_reads(2);
}
