//! Writes to the source, and what follows them.

use std::sync::{Arc, PoisonError};

use stratacache::{Result, Token};

use super::{super::value::Value, Bench, doors::global_tag};
use crate::{
    log::{Event, What},
    random::Random,
    time::{self, Nanos},
    world::{Form, Key, Scope, is_absence},
};

impl Bench {
    /// Writes a key, then inserts the new value or invalidates something that the old one depends on.
    pub(super) async fn write(self: &Arc<Self>, random: &mut Random) {
        let key = self.own.draw(random);
        match random.below(100) {
            0..=39 => self.write_and_insert(key).await,
            40..=44 if key.form() == Form::Bulk => self.write_and_insert_many(key).await,
            _ => {
                if self.commit(key).is_some() {
                    self.invalidate(key, random).await;
                }
            }
        }
    }

    /// Writes a new version; none if the source fails.
    pub(super) fn commit(&self, key: Key) -> Option<u64> {
        let _alone = self.writing[key.0 as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.source.read(key).ok()? + 1;
        self.log.append(&Event::Begun { key, version, at: time::now() });
        self.source.write(key, version).ok()?;
        self.log.append(&Event::Committed { key, version, at: time::now() });
        Some(version)
    }

    async fn write_and_insert(&self, key: Key) {
        let door = self.doors(key).of(key.form());
        let stamp = door.stamp();
        let Some(version) = self.commit(key) else { return };
        if is_absence(key.form(), version) {
            let called = self.called(What::Invalidate, &[Scope::Key(key)]);
            let done = door.invalidate(self.key_of(key)).await;
            return self.returned(What::Invalidate, &[Scope::Key(key)], called, done);
        }
        let called = self.called(What::Insert, &[Scope::Key(key)]);
        let mut insert = door.insert(self.key_of(key), Value::new(key, version)).stamped(stamp).tag(key.tag());
        if let Some(tag) = key.late_tag() {
            insert = insert.tag(tag);
        }
        if key.is_global() {
            insert = insert.tag(global_tag());
        }
        let done = insert.await;
        self.returned(What::Insert, &[Scope::Key(key)], called, done);
    }

    async fn write_and_insert_many(&self, first: Key) {
        let doors = self.doors(first);
        let door = doors.of(Form::Bulk);
        let stamp = door.stamp();
        let own = |key: &Key| self.own.holds(*key);
        let written = first.companions().filter(own).filter_map(|key| Some((key, self.commit(key)?)));
        let (keys, items): (Vec<_>, Vec<_>) =
            written.map(|(key, version)| (key, (doors.bulks().key(&key.0), Value::new(key, version)))).unzip();
        let scopes: Vec<_> = keys.iter().copied().map(Scope::Key).collect();
        let called = self.called(What::Insert, &scopes);
        let mut insert = door.insert_many(items).stamped(stamp).tag(first.tag());
        if first.is_global() {
            insert = insert.tag(global_tag());
        }
        match insert.await {
            Ok(tokens) => {
                for (scope, token) in scopes.iter().zip(tokens) {
                    self.returned(What::Insert, &[*scope], called, Ok(token));
                }
            }
            Err(error) => self.returned(What::Insert, &scopes, called, Err(error)),
        }
    }

    /// Notes that something is about to be invalidated, and when.
    pub(super) fn called(&self, what: What, scopes: &[Scope]) -> Nanos {
        let at = time::now();
        for scope in scopes {
            self.log.append(&Event::Called { what, scope: *scope, at });
        }
        at
    }

    /// Notes what came of it.
    pub(super) fn returned(&self, what: What, scopes: &[Scope], called: Nanos, result: Result<Token>) {
        let at = time::now();
        let token = result.ok();
        for scope in scopes {
            self.log.append(&Event::Returned { what, scope: *scope, called, at, token });
            if let (Some(token), Scope::Key(key)) = (&token, scope) {
                self.pin_up(key.tenant(), token);
            }
        }
    }

    /// Lets other nodes read `Since` a token; that fails with the disk, and then they do not.
    pub(super) fn pin_up(&self, tenant: u32, token: &Token) {
        let _ = self.board.write(tenant, token);
    }
}
