//! Calls that a test stops at a step.

use std::future::poll_fn;

use super::*;
use crate::{
    shared::{At, Step},
    spawn::Tasks,
};

#[tokio::test(start_paused = true)]
async fn a_fill_that_is_held_before_its_effect_loses_against_a_removal_and_one_held_after_it_does_not() {
    for (at, stored) in [(At::Before, false), (At::After, true)] {
        let store = SharedStore::new(1);
        let node = store.node();
        let tier = node.tier();
        let lease = granted(store.lease(&request(&store, 1)));
        let hold = node.hold(Step::Fill, at);
        let fill = tier.put_many(PutMany::new(vec![item(1, 1, lease.token)]));
        let test = async {
            hold.until_held(1).await;
            assert_eq!(store.stored(name(1)).is_some(), stored);
            store.del_fence(name(1));
            hold.release();
        };
        let (outcomes, ()) = tokio::join!(fill, test);
        assert_eq!(matches!(outcomes.unwrap()[0], PutOutcome::Stored), stored, "{at:?}");
        assert_eq!(store.stored(name(1)), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_while_it_is_held_takes_effect_only_if_it_was_on_its_way() {
    for (at, seq) in [(At::Before, 1), (At::Late, 2), (At::After, 2)] {
        let store = SharedStore::new(1);
        let node = store.node();
        node.tail(false);
        let (coordinator, recorder) = subscribed(&node).await;
        let hold = node.hold(Step::Invalidate, at);
        {
            let mut given_up = Box::pin(coordinator.invalidate(tag()));
            assert!(poll_fn(|cx| std::task::Poll::Ready(given_up.as_mut().poll(cx).is_pending())).await);
            assert_eq!(hold.held(), 1);
        }
        assert_eq!((hold.held(), store.position(lane()).seq), (0, if at == At::After { 2 } else { 1 }));
        hold.release();
        assert_eq!(store.position(lane()).seq, seq, "{at:?}");
        assert!(recorder.messages().is_empty(), "its node hears of it as of any other");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_on_its_way_takes_effect_though_its_caller_gives_up_right_after_the_release() {
    let store = SharedStore::new(1);
    let node = store.node();
    let tier = node.tier();
    let hold = node.hold(Step::Fill, At::Late);
    let mut given_up = Box::pin(tier.put_many(PutMany::new(vec![PutItem::new(name(1), envelope(1), NEVER, None)])));
    assert!(poll_fn(|cx| std::task::Poll::Ready(given_up.as_mut().poll(cx).is_pending())).await);
    hold.release();
    drop(given_up);
    assert_eq!(store.stored(name(1)), Some(envelope(1)));
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_some_calls_lets_the_others_pass_and_concerns_one_step_of_one_node() {
    let store = SharedStore::new(1);
    let (node, other) = (store.node(), store.node());
    let hold = node.hold(Step::Get, At::Before).only(1);
    let mut tasks = Tasks::default();
    let tier = node.tier();
    tasks.start(async move { drop(tier.get_many(GetMany::new(vec![name(1)])).await.unwrap()) });
    hold.until_held(1).await;
    let read = GetMany::new(vec![name(1)]);
    node.tier().get_many(read.clone()).await.unwrap();
    node.tier().ping().await.unwrap();
    other.tier().get_many(read).await.unwrap();
    assert_eq!((hold.held(), node.calls(Step::Get)), (1, 2));
    drop(hold);
    tasks.join().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_overtaken_changes_nothing_but_what_it_says_of_its_own_time() {
    let store = SharedStore::new(1);
    let node = store.node();
    node.tail(false);
    let (coordinator, recorder) = subscribed(&node).await;
    let start = store.now();
    for lost in [false, true] {
        invalidate(&store, 8);
        recorder.told();
        let hold = node.hold(Step::Sync, At::After).only(1);
        let overtake = async {
            hold.until_held(1).await;
            if lost {
                store.lose_lane(lane());
            }
            invalidate(&store, 5);
            tokio::time::advance(LIFE).await;
            coordinator.sync(lane()).await.unwrap();
            hold.release();
        };
        let (slow, ()) = tokio::join!(coordinator.sync(lane()), overtake);
        assert_eq!(slow.unwrap(), store.position(lane()), "what is reached");
        let told = recorder.told();
        let times: Vec<Millis> =
            told.iter().filter_map(|t| if let Told::UpToDate(at) = t { Some(*at) } else { None }).collect();
        assert!(times[0] > times[1] && times[1] >= start);
        let news = told.iter().filter(|t| matches!(t, Told::Message(_) | Told::Snapshot(..)));
        assert_eq!(news.count(), if lost { 1 } else { 13 }, "each message once, and no way back to an older history");
    }
}
