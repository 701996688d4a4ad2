//! Reads and writes of several keys at once.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use stratacache::Freshness;

use super::{
    super::value::Value,
    Bench, Shape,
    asking::{Asking, as_asked},
    read::GIVE_UP,
};
use crate::{
    log::{Event, Op, Seen},
    random::Random,
    time,
    world::{Form, Key},
};

impl Bench {
    /// Reads some keys that have the same tags, with one loader for those that are missing.
    pub(super) async fn read_many(self: &Arc<Self>, first: Key, asking: Asking, shape: Shape, random: &mut Random) {
        let keys: Vec<Key> = first.companions().filter(|key| *key == first || random.chance(0.6)).collect();
        let (bench, ran) = (Arc::clone(self), Arc::new(Mutex::new(HashSet::<u32>::new())));
        let runs = Arc::clone(&ran);
        let load = async move |missing: Vec<u32>| {
            runs.lock().unwrap_or_else(PoisonError::into_inner).extend(&missing);
            let mut values = Vec::new();
            for key in missing {
                // together they take as long as one load
                let (before, after) = if values.is_empty() { (shape.before, shape.after) } else { Default::default() };
                let version = bench.load(Op::Bulk, Key(key), Shape { before, after, ..shape }).await?;
                values.push((key, Value::new(Key(key), version)));
            }
            Ok::<_, super::SourceDown>(values)
        };
        let doors = self.doors(first);
        let read =
            doors.of(Form::Bulk).get_or_load_many(doors.bulks(), keys.iter().map(|key| key.0), load).tag(first.tag());
        let read = as_asked!(read, first, asking, doors.write);
        let began = time::now();
        let found = tokio::time::timeout(GIVE_UP, read.into_future()).await;
        let ended = time::now();
        let ran = ran.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for key in keys {
            let (seen, loaded) = match &found {
                Err(_) => (Seen::Hung, true),
                Ok(Err(_)) => (Seen::Failed, true),
                Ok(Ok(values)) => match values.get(&key.0) {
                    Some(value) => (value.seen_as(key), value.freshness() == Freshness::Loaded),
                    None => (Seen::Absent, false),
                },
            };
            let hit = !loaded && !ran.contains(&key.0);
            self.log.append(&Event::Read { op: Op::Bulk, key, asked: asking.asked(), seen, hit, began, ended });
        }
    }
}
