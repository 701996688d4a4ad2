//! Writing by hand: an insert is an invalidation of its key, and then a fill under its own position.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;
use stratacache_core::{
    EntryName, Error, ErrorKind, Key, OnWriteError, Policy, Result, Stamp, Tag, Token, WriteMode,
    coordinator::{Lease, Strength},
    tier::{Fence, TierError},
};
use tracing::Instrument;

use super::{
    Door, Engine,
    fill::{Filling, Kept, no_keys},
    invalidate::Target,
    make::Making,
    seal::Seal,
};
use crate::{
    codec::CacheValue,
    memory::{Entry, Held},
    observe::Counter,
};

/// Inserts, owned: of one key, or of several that are written together.
pub(crate) struct WriteRequest<V: 'static> {
    pub(crate) ns: Arc<Door>,
    pub(crate) items: Few<WriteItem<V>>,
    pub(crate) tags: SmallVec<[Tag; 1]>,
    pub(crate) stamp: Option<Stamp>,
}

/// One value to insert; its key is no other item's.
pub(crate) struct WriteItem<V: 'static> {
    pub(crate) key: Key<V>,
    pub(crate) value: Held<V>,
    pub(crate) policy: Policy,
    pub(crate) ttl: Duration,
    /// What it was made of: its times and tags are kept.
    pub(crate) like: Option<Arc<Entry<V>>>,
}

/// What fails when the call has returned is not its error.
fn mode_of(policy: &Policy) -> OnWriteError {
    let usual = if policy.write_mode() == WriteMode::Behind { OnWriteError::BestEffort } else { OnWriteError::Strict };
    policy.on_write_error_mode().unwrap_or(usual)
}

/// Mostly one.
pub(crate) type Few<T> = SmallVec<[T; 1]>;

/// A value on its way in: its entry is made, and was valid then.
struct Written<V: 'static> {
    place: usize,
    key: Key<V>,
    name: EntryName,
    policy: Policy,
    mode: OnWriteError,
    entry: Arc<Entry<V>>,
}

/// What became of an inserted value in the tiers below.
struct WrittenBelow {
    result: Result<()>,
    /// Its right to write has ended.
    lease_spent: bool,
}

/// Why inserts failed.
pub(super) struct WriteFailure {
    /// The items' places among those written together, and what stands for their keys in logs; none means all of them.
    pub(super) items: Few<(usize, u64)>,
    /// The first failure.
    pub(super) error: Error,
}

impl From<Error> for WriteFailure {
    fn from(error: Error) -> Self {
        Self { items: Few::new(), error }
    }
}

impl Engine {
    /// Inserts one value, to the end even if the caller goes away. The caller has checked the policy and the tags.
    pub(crate) async fn insert<V: CacheValue>(self: &Arc<Self>, request: WriteRequest<V>) -> Result<Token> {
        let engine = Arc::clone(self);
        self.write_to_the_end(async move {
            let span = request.ns.span_of_insert();
            let tokens = engine.insert_here(request).instrument(span).await.map_err(|failure| failure.error)?;
            tokens.first().copied().ok_or_else(|| Error::new(ErrorKind::Internal, "an insert without an item"))
        })
        .await
    }

    /// Inserts values together: one position, and one batch for each tier. Returns a token for each.
    ///
    /// Of those that failed, the first is returned, and none is in any tier; the others are stored.
    pub(super) async fn insert_here<V: CacheValue>(
        &self,
        request: WriteRequest<V>,
    ) -> Result<Few<Token>, WriteFailure> {
        self.check_open()?;
        let names: Few<EntryName> =
            request.items.iter().map(|item| self.name(&request.ns, item.key.as_bytes())).collect();
        let tenant = Arc::clone(&request.ns.tenant);
        let _turns = tenant.turns().of_inserts(&names).await;
        self.insert_in_turn(request, names).await
    }

    /// As [`insert_here`](Self::insert_here), for whoever has the turn of these names.
    pub(super) async fn insert_in_turn<V: CacheValue>(
        &self,
        request: WriteRequest<V>,
        names: Few<EntryName>,
    ) -> Result<Few<Token>, WriteFailure> {
        let WriteRequest { ns, items, tags, stamp } = request;
        let inner = &*ns;
        if stamp.is_some_and(|stamp| stamp.tenant != inner.tenant.marks.tenant) {
            let message =
                "the stamp is another tenant's; take it with stamp() of a namespace of the tenant that is written";
            return Err(Error::invalid(message).into());
        }
        let seal = self.seal_to_write(inner, &items).await?;
        // registered before anything else: marks that these fills may need are kept
        let (fill, now_stamp) = self.mirror.begin_fill(&inner.tenant.marks);
        let began = stamp.map_or(fill.began(), |s| s.lane.seq);
        let stamp = stamp.unwrap_or(now_stamp);
        let keys = || items.iter().map(|item| item.key.as_bytes());
        // void what others may write, and take the right to write
        self.remove_below(inner, &names).await?;
        let fences = self.fences_to_write(inner, &items, &names).await?;
        let targets: Few<Target> = keys().map(|key| Target::key(self.key_scope(inner, key))).collect();
        let rights = self.rights_to_write(inner, &items, &names, &fences);
        let token = match self.order(inner, &targets, Strength::Hard).await {
            Ok(token) => token,
            Err(error) => {
                self.give_all_back(rights).await;
                return Err(error.into());
            }
        };
        self.wake_keys(inner, &targets);
        let own = token.position().seq;
        self.remove_overtaken(inner, keys(), fill.began(), &token).await?;
        for key in keys() {
            self.drop_older(inner, &inner.lookup(key), own);
        }
        let mut tokens: Few<Token> = items.iter().map(|_| token.into_superseded()).collect();
        if stamp.mep != inner.tenant.marks.mep() || stamp.lane.incarnation != token.position().incarnation {
            self.give_all_back(rights).await;
            return Ok(tokens);
        }
        let mut written: Few<Written<V>> = Few::new();
        for (place, (item, name)) in items.into_iter().zip(names).enumerate() {
            let WriteItem { key, value, policy, ttl, like } = item;
            let (ns, stamp) = (inner, &stamp);
            let making =
                Making { ns, key: &key, policy: &policy, ttl, tags: &tags, stamp, own, began: None, etag: None };
            let entry = making.entry_like(self, value, like.as_deref());
            ns.count(&key, Counter::inserts);
            // before anything is written
            if self.still_good(ns, key.as_bytes(), &entry, began) {
                written.push(Written { place, key, name, policy, mode: mode_of(&policy), entry });
            }
        }
        let filled = self.write_below(inner, &written, &fences, &seal).await;
        let mut unused = rights;
        let spent = written.iter().zip(&filled).filter(|(_, filled)| filled.lease_spent);
        spent.for_each(|(one, _)| unused[one.place] = None);
        self.give_all_back(unused).await;
        let mut failure: Option<WriteFailure> = None;
        for (one, filled) in written.iter().zip(filled) {
            if let Err(error) = filled.result {
                let failure = failure.get_or_insert_with(|| error.into());
                failure.items.push((one.place, inner.key_hash(one.key.as_bytes())));
                continue;
            }
            let (key, max_weight) = (one.key.as_bytes(), one.policy.weight_limit());
            match self.put_memory(inner, key, &one.entry, began, max_weight) {
                Kept::Overtaken => {}
                Kept::Yes | Kept::TooHeavy => tokens[one.place] = token,
            }
        }
        failure.map_or(Ok(tokens), Err)
    }

    /// Takes the keys for what goes below. Without them a strict write fails before anything is changed.
    async fn seal_to_write<V: CacheValue>(&self, ns: &Door, items: &[WriteItem<V>]) -> Result<Seal> {
        let below = || items.iter().filter(|item| self.goes_below::<V>(&item.policy));
        if below().next().is_none() {
            return Ok(self.no_seal());
        }
        let seal = self.seal_of(ns, None).await;
        if seal.is_missing() && below().any(|item| mode_of(&item.policy) == OnWriteError::Strict) {
            return Err(no_keys().into());
        }
        Ok(seal)
    }

    /// Returns the rights to write among the fences of items. That of one that is not written is given back, so that nobody
    /// waits for it.
    fn rights_to_write<V: 'static>(
        &self,
        ns: &Door,
        items: &[WriteItem<V>],
        names: &[EntryName],
        fences: &[Vec<Option<Fence>>],
    ) -> Few<Option<Lease>> {
        let each = items.iter().zip(names).zip(fences);
        each.map(|((item, name), fences)| self.right_among(ns, *name, fences, &item.policy)).collect()
    }

    async fn give_all_back(&self, rights: Few<Option<Lease>>) {
        for right in rights {
            self.give_back(right).await;
        }
    }

    /// Takes the fences of what goes below, for each item one of each tier.
    async fn fences_to_write<V: CacheValue>(
        &self,
        ns: &Door,
        items: &[WriteItem<V>],
        names: &[EntryName],
    ) -> Result<Few<Vec<Option<Fence>>>> {
        let mut fences: Few<_> = items.iter().map(|_| vec![None; self.tiers.len()]).collect();
        let below: Few<usize> = (0..items.len()).filter(|i| self.goes_below::<V>(&items[*i].policy)).collect();
        let strict = |item: &WriteItem<V>| mode_of(&item.policy) == OnWriteError::Strict;
        for (index, tier) in self.tiers.iter().enumerate() {
            let below: Few<usize> = below.iter().copied().filter(|i| tier.is_written(&items[*i].policy)).collect();
            let asked: Few<EntryName> = below.iter().map(|place| names[*place]).collect();
            if asked.is_empty() {
                continue;
            }
            match tier.fences(&asked, tier.write_life(asked.len())).await {
                Ok(taken) => below.iter().zip(taken).for_each(|(place, fence)| fences[*place][index] = fence),
                Err(error) if below.iter().any(|place| strict(&items[*place])) => {
                    self.give_all_back(self.rights_to_write(ns, items, names, &fences)).await;
                    return Err(error.into());
                }
                Err(error) => tier.note("fence", &error, |kind| self.report(Some(&ns.tenant), kind)),
            }
        }
        Ok(fences)
    }

    /// Fills the tiers below. What fails strictly is removed again, and is an error.
    async fn write_below<V: CacheValue>(
        &self,
        ns: &Door,
        written: &[Written<V>],
        fences: &[Vec<Option<Fence>>],
        seal: &Seal,
    ) -> Vec<WrittenBelow> {
        let fillings = written.iter().map(|Written { place, key, name, policy, mode, entry }| Filling {
            key: key.as_bytes(),
            keyspace: key.keyspace(),
            name: *name,
            entry,
            fences: &fences[*place],
            seal,
            policy,
            mode: *mode,
            carried: true,
        });
        let fillings: Few<_> = fillings.collect();
        let filled = self.fill_below(ns, &fillings).await;
        // in no tier: what a lost reply may have left behind is removed, or can never be served
        let strict = |one: &Written<V>| one.mode == OnWriteError::Strict;
        let failed = written.iter().zip(&filled).filter(|(one, filled)| filled.result.is_err() && strict(one));
        let failed: Few<&Written<V>> = failed.map(|(one, _)| one).collect();
        let gone = self.retract(ns, &failed).await;
        let results = written.iter().zip(filled).map(|(one, filled)| {
            let result = match filled.result {
                Err(error) if strict(one) => Err(of_a_strict_insert(error, gone.is_ok())),
                _ => Ok(()),
            };
            WrittenBelow { result, lease_spent: filled.lease_spent }
        });
        results.collect()
    }

    /// Makes sure that values which some tier may hold are served from none. They are removed, and a mark of their own
    /// overtakes them: a reader may have promoted one meanwhile, and a write that was lost may land yet.
    async fn retract<V: CacheValue>(&self, ns: &Door, written: &[&Written<V>]) -> Result<()> {
        if written.is_empty() {
            return Ok(());
        }
        let names: Few<EntryName> = written.iter().map(|one| one.name).collect();
        let keys = || written.iter().map(|one| one.key.as_bytes());
        let removed = self.remove_below(ns, &names).await;
        let targets: Few<Target> = keys().map(|key| Target::key(self.key_scope(ns, key))).collect();
        let token = self.order(ns, &targets, Strength::Hard).await?;
        keys().for_each(|key| self.drop_older(ns, &ns.lookup(key), token.position().seq));
        removed
    }
}

fn of_a_strict_insert(error: TierError, gone: bool) -> Error {
    if gone {
        return error.into();
    }
    let message = "a tier failed, and the value could not be removed everywhere: some tier may hold it, until the next \
                   invalidation of its key";
    Error::new(ErrorKind::WriteUnknown, message).with_source(error)
}
