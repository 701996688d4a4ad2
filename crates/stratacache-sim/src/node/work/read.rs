//! Reads of one key.

use std::{
    future::{Future, IntoFuture as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use stratacache::{Cached, Freshness, LoadContext, LoadError, Loaded, Lookup};

use super::{
    super::{setup::READ_LIMIT, value::Value},
    Bench, Shape, SourceDown,
    asking::{Asking, as_asked},
    doors::global_tag,
};
use crate::{
    log::{Asked, Event, Op, Seen},
    random::Random,
    time,
    world::{Form, Key, is_absence},
};

/// Whoever is still waiting then gives up, to say so.
pub(super) const GIVE_UP: Duration = Duration::from_nanos(2 * READ_LIMIT);

/// What an operation returned, and whether somebody loaded for it.
pub(super) type Answer = (Seen, bool);

impl Bench {
    /// Writes down what a read returns.
    pub(super) async fn noted(&self, op: Op, key: Key, asked: Asked, read: impl Future<Output = Answer>) {
        let began = time::now();
        let answer = tokio::time::timeout(GIVE_UP, read).await;
        let (seen, loaded) = answer.unwrap_or((Seen::Hung, true));
        self.log.append(&Event::Read { op, key, asked, seen, hit: !loaded, began, ended: time::now() });
    }

    pub(super) async fn read(self: &Arc<Self>, random: &mut Random) {
        let key = self.everything.draw(random);
        let asking = Asking::draw(self, key, random);
        self.read_one(key, asking, random).await;
    }

    /// Reads a key; one of a bulk with others.
    pub(super) async fn read_one(self: &Arc<Self>, key: Key, asking: Asking, random: &mut Random) {
        let shape = Shape::draw(self.aim, random);
        match key.form() {
            Form::Plain => self.noted(Op::Load, key, asking.asked(), self.read_plain(key, asking, shape)).await,
            Form::Nested => self.noted(Op::Load, key, asking.asked(), self.read_nested(key, asking, shape)).await,
            Form::Negative => self.noted(Op::Load, key, asking.asked(), self.read_negative(key, asking, shape)).await,
            Form::Bulk => self.read_many(key, asking, shape, random).await,
        }
    }

    async fn read_plain(self: &Arc<Self>, key: Key, asking: Asking, shape: Shape) -> Answer {
        let (bench, ran) = (Arc::clone(self), Arc::new(AtomicBool::new(false)));
        let runs = Arc::clone(&ran);
        let load = async move || {
            runs.store(true, Relaxed);
            bench.load(Op::Load, key, shape).await.map(|version| Value::new(key, version))
        };
        let doors = self.doors(key);
        let read = doors.of(Form::Plain).get_or_load(key.0, load).tag(key.tag());
        let read = as_asked!(read, key, asking, doors.write);
        answer(key, read.await.map(Some), &ran)
    }

    /// One tag is known to the loader only.
    async fn read_nested(self: &Arc<Self>, key: Key, asking: Asking, shape: Shape) -> Answer {
        let (bench, ran) = (Arc::clone(self), Arc::new(AtomicBool::new(false)));
        let runs = Arc::clone(&ran);
        let load = async move |_: LoadContext<Value>| {
            runs.store(true, Relaxed);
            let version = bench.load(Op::Load, key, shape).await?;
            let mut loaded = Loaded::new(Value::new(key, version));
            if let Some(tag) = key.late_tag() {
                loaded = loaded.tag(tag);
            }
            Ok(loaded)
        };
        let doors = self.doors(key);
        let read = doors.of(Form::Nested).get_or_load_with(key.0, load).tag(key.tag());
        let read = as_asked!(read, key, asking, doors.write);
        answer(key, read.await, &ran)
    }

    async fn read_negative(self: &Arc<Self>, key: Key, asking: Asking, shape: Shape) -> Answer {
        let (bench, ran) = (Arc::clone(self), Arc::new(AtomicBool::new(false)));
        let runs = Arc::clone(&ran);
        let load = async move || {
            runs.store(true, Relaxed);
            let version = bench.load(Op::Load, key, shape).await?;
            Ok((!is_absence(Form::Negative, version)).then(|| Value::new(key, version)))
        };
        let doors = self.doors(key);
        let read = doors.of(Form::Negative).get_or_load_optional(key.0, load).tag(key.tag());
        let read = as_asked!(read, key, asking, doors.write);
        answer(key, read.await, &ran)
    }

    /// A read that does not load.
    pub(super) async fn get(self: &Arc<Self>, random: &mut Random) {
        let key = self.everything.draw(random);
        let asking = Asking::draw(self, key, random);
        // what these say by a policy, they cannot say here
        let asking = match asking {
            Asking::ServeStale | Asking::Fail | Asking::FromStore(_) => Asking::Usual,
            Asking::TightPolicy => Asking::Tight,
            _ => asking,
        };
        let (door, name) = (self.doors(key).of(key.form()), self.key_of(key));
        let read = async {
            let found = match asking.consistency() {
                None => door.lookup(name).await,
                Some(consistency) => door.lookup(name).consistency(consistency).await,
            };
            match found {
                Lookup::Hit(value) => (value.seen_as(key), false),
                Lookup::Absent => (Seen::Absent, false),
                Lookup::Miss => (Seen::Miss, false),
            }
        };
        self.noted(Op::Get, key, asking.asked(), read).await;
    }

    /// A load whatever there is.
    pub(super) async fn refresh(self: &Arc<Self>, random: &mut Random) {
        let key = self.everything.draw(random);
        if key.form() != Form::Plain {
            return self.read(random).await;
        }
        let (bench, shape) = (Arc::clone(self), Shape::draw(self.aim, random));
        let load = async move || bench.load(Op::Refresh, key, shape).await.map(|version| Value::new(key, version));
        let mut refresh = self.doors(key).of(Form::Plain).refresh(key.0, load).tag(key.tag());
        if key.is_global() {
            refresh = refresh.tag(global_tag());
        }
        let ran = AtomicBool::new(true);
        let read = async { answer(key, refresh.into_future().await.map(Some), &ran) };
        self.noted(Op::Refresh, key, Asking::Usual.asked(), read).await;
    }
}

fn answer(key: Key, result: Result<Option<Cached<Value>>, LoadError<SourceDown>>, ran: &AtomicBool) -> Answer {
    let ran = ran.load(Relaxed);
    match result {
        Ok(Some(value)) => (value.seen_as(key), ran || value.freshness() == Freshness::Loaded),
        Ok(None) => (Seen::Absent, ran),
        Err(_) => (Seen::Failed, ran),
    }
}
