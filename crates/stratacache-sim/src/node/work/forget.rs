//! Invalidations and expiries of everything there is.

use std::sync::Arc;

use stratacache::{ErrorKind, Invalidation, Queued, Result, Target, Token};

use super::{super::value::Value, Bench, doors::global_tag};
use crate::{
    log::{Event, What},
    random::Random,
    spawn,
    time::{self, Nanos},
    world::{Form, Key, Scope, TENANTS},
};

/// Share of invalidations that may wait.
const QUEUED: f64 = 0.3;

impl Bench {
    /// Returns the name of a key as the cache knows it.
    pub(super) fn key_of(&self, key: Key) -> stratacache::Key<Value> {
        if key.form() == Form::Bulk { self.doors(key).bulks().key(&key.0) } else { stratacache::Key::new(key.0) }
    }

    /// Invalidates something without a write.
    pub(super) async fn invalidate_only(self: &Arc<Self>, random: &mut Random) {
        let key = self.everything.draw(random);
        if self.encrypted && random.below(500) == 0 {
            // nothing is flushed by it: a read that sees otherwise is one load too many
            let rotated = self.doors(key).root.rotate_key().await;
            let fine = rotated.as_ref().err().is_none_or(|error| error.kind() == ErrorKind::Closed);
            assert!(fine, "no fault is about keys: {rotated:?}");
        }
        self.invalidate(key, random).await;
    }

    /// Invalidates something that a key depends on.
    pub(super) async fn invalidate(self: &Arc<Self>, key: Key, random: &mut Random) {
        let (tenant, form) = (key.tenant(), key.form());
        let (doors, door) = (self.doors(key), self.doors(key).of(form));
        let (by_key, by_tag) = (Scope::Key(key), Scope::Tag(tenant, key.tag()));
        let target = Target::of(&self.key_of(key));
        let what = What::Invalidate;
        let drawn = random.below(1000);
        let scopes = match drawn {
            0..=729 => vec![by_key],
            730..=759 => key.companions().take(3).map(Scope::Key).collect(),
            760..=879 => vec![by_tag],
            880..=909 => vec![key.late_tag().map_or(by_tag, |tag| Scope::Tag(tenant, tag))],
            910..=959 => vec![by_key, by_tag],
            960..=979 => vec![Scope::Space(tenant, form)],
            980..=987 => vec![Scope::Space(tenant, Form::Plain), by_tag],
            988..=993 => vec![Scope::Tenant(tenant)],
            _ => vec![Scope::Global],
        };
        let many = || door.invalidate_many(key.companions().take(3).map(|key| self.key_of(key)));
        let late = || doors.root.invalidate_tag(key.late_tag().unwrap_or(key.tag()));
        let spaces = || doors.root.invalidate([Target::namespace("a"), Target::tag(key.tag())]);
        let everybody = || self.cache.invalidate_global_tag(global_tag());
        if random.chance(QUEUED) {
            let called = self.called(what, &scopes);
            let done = match drawn {
                0..=729 => door.invalidate(target).or_queue().await,
                730..=759 => many().or_queue().await,
                760..=879 => door.invalidate_tag(key.tag()).or_queue().await,
                880..=909 => late().or_queue().await,
                910..=959 => door.invalidate([target, Target::tag(key.tag())]).or_queue().await,
                960..=979 => door.clear().or_queue().await,
                980..=987 => spaces().or_queue().await,
                988..=993 => doors.root.clear().or_queue().await,
                _ => everybody().or_queue().await,
            };
            return match done {
                Ok(Invalidation::Queued(queued)) => self.wait_for(queued, scopes, called),
                Ok(Invalidation::Applied(token)) => self.invalidated(&scopes, called, Ok(token)),
                Err(error) => self.invalidated(&scopes, called, Err(error)),
            };
        }
        let called = self.called(what, &scopes);
        let done = match drawn {
            0..=729 => door.invalidate(target).await,
            730..=759 => many().await,
            760..=879 => door.invalidate_tag(key.tag()).await,
            880..=909 => late().await,
            910..=959 => door.invalidate([target, Target::tag(key.tag())]).await,
            960..=979 => door.clear().await,
            980..=987 => spaces().await,
            988..=990 if self.encrypted => doors.root.destroy().await,
            988..=993 => doors.root.clear().await,
            _ => everybody().await,
        };
        self.invalidated(&scopes, called, done);
    }

    /// Notes what came of an invalidation.
    fn invalidated(&self, scopes: &[Scope], called: Nanos, done: Result<Token>) {
        if let Ok(token) = &done {
            self.show(scopes, token);
        }
        self.returned(What::Invalidate, scopes, called, done);
    }

    /// Notes that an invalidation waits, and later that it was applied. It may outlive the workload: closing applies it.
    fn wait_for(self: &Arc<Self>, queued: Queued, scopes: Vec<Scope>, called: Nanos) {
        let at = time::now();
        for scope in &scopes {
            self.log.append(&Event::Queued { scope: *scope, called, at });
        }
        let bench = Arc::clone(self);
        drop(spawn::start(async move { bench.invalidated(&scopes, called, queued.applied().await) }));
    }

    /// Invalidates a key, or a tag that it has.
    pub(super) async fn invalidate_one(&self, key: Key, scope: Scope) {
        let called = self.called(What::Invalidate, &[scope]);
        let done = match scope {
            Scope::Tag(_, tag) => self.doors(key).root.invalidate_tag(tag).await,
            _ => self.doors(key).of(key.form()).invalidate(self.key_of(key)).await,
        };
        self.invalidated(&[scope], called, done);
    }

    pub(super) async fn expire(self: &Arc<Self>, random: &mut Random) {
        let key = self.everything.draw(random);
        let door = self.doors(key).of(key.form());
        let scope = match random.below(10) {
            0..=7 => Scope::Key(key),
            8 => Scope::Tag(key.tenant(), key.tag()),
            _ => Scope::Space(key.tenant(), key.form()),
        };
        let called = self.called(What::Expire, &[scope]);
        let done = match scope {
            Scope::Key(_) => door.expire(self.key_of(key)).await,
            Scope::Tag(..) => door.expire_tag(key.tag()).await,
            _ => door.expire_all().await,
        };
        self.returned(What::Expire, &[scope], called, done);
    }

    fn show(&self, scopes: &[Scope], token: &Token) {
        for scope in scopes {
            match *scope {
                Scope::Global => (0..TENANTS).for_each(|tenant| self.pin_up(tenant, token)),
                Scope::Tenant(tenant) | Scope::Space(tenant, _) | Scope::Tag(tenant, _) => self.pin_up(tenant, token),
                Scope::Key(_) => {} // by `returned`
            }
        }
    }
}
