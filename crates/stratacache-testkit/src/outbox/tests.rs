use std::time::Duration;

use stratacache_core::follow::{ChangeTarget, InvalidationSource as _, NextChanges, Position, SetAside};

use super::MemorySource;

const SOON: NextChanges = NextChanges::new(10, Duration::from_millis(1));

#[tokio::test(start_paused = true)]
async fn who_opens_it_again_begins_after_what_was_acknowledged() {
    let outbox = MemorySource::new("outbox");
    for n in 0..3_u64 {
        outbox.write(Some("acme"), &[ChangeTarget::tag(n)]);
    }
    let read = |batch: stratacache_core::follow::Batch| batch.changes.iter().map(|c| c.position).collect::<Vec<_>>();
    let all = read(outbox.next(SOON).await.unwrap());
    assert_eq!(all.len(), 3);
    assert!(outbox.next(SOON).await.unwrap().changes.is_empty(), "nothing twice");
    outbox.acknowledge(all[0]).await.unwrap();
    assert_eq!(read(outbox.reopened().next(SOON).await.unwrap()), all[1..]);
    assert_eq!((outbox.waiting(), outbox.acknowledged()), (2, all[0]));
}

#[tokio::test(start_paused = true)]
async fn it_fails_and_keeps_aside_what_it_is_told() {
    let outbox = MemorySource::new("outbox");
    outbox.fail(1);
    assert!(outbox.lag().await.is_err());
    assert_eq!(outbox.lag().await.unwrap().changes, 0);
    let aside = vec![SetAside::new(Position::new(1, 0), "why")];
    outbox.set_aside(aside.clone()).await.unwrap();
    outbox.set_aside(aside.clone()).await.unwrap();
    assert_eq!(outbox.set_aside_so_far(), aside);
    outbox.stand_by(true);
    assert!(outbox.next(SOON).await.unwrap().standby);
}
