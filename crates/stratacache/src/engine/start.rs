//! Starting a flight: its key, its stamp and its fill, and the task of its leader.

use std::sync::Arc;

use stratacache_core::{Key, Tag};
use tracing::Instrument;

use super::{
    Door, Engine, Request,
    lead::{Leader, LoadOutcome},
};
use crate::{
    codec::CacheValue,
    coherence::FillGuard,
    flight::{Flight, FlightKey, Lead, Role},
    memory::{Entry, MapKey},
};

impl Engine {
    /// Returns the key of a flight; `alone` is 0 for one that others may join, who leave the same tiers out.
    pub(super) fn flight_key<V, E>(
        ns: &Door,
        key: &Key<V>,
        forced: bool,
        alone: u64,
        left_out: u16,
    ) -> FlightKey<MapKey>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let map_key = MapKey::from(ns.lookup(key.as_bytes()));
        FlightKey::new::<LoadOutcome<V, E>>(ns.tenant.number, map_key, forced, alone).leaving_out(left_out)
    }

    pub(super) fn flight_key_of<V, E>(&self, request: &Request<V, E>) -> FlightKey<MapKey>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let call = &request.call;
        // a load that is not shared has a key nobody else has
        let alone = if call.share { 0 } else { self.jitter.next() | 1 };
        Self::flight_key::<V, E>(&call.ns, &call.key, call.forced, alone, self.left_out(&call.policy))
    }

    /// Joins the flight of a key if there is one and `may_join` agrees, else leads one.
    ///
    /// The stamp is taken, and the fill registered, under the lock of the flight table: key marks above the stamp are
    /// kept as long as the fill lives.
    pub(super) fn join_or_lead<V, E>(
        &self,
        ns: &Door,
        flight_key: FlightKey<MapKey>,
        (key, tags): (&Key<V>, &[Tag]),
        may_join: impl FnOnce(&Flight<LoadOutcome<V, E>>) -> bool,
    ) -> Role<MapKey, LoadOutcome<V, E>, FillGuard>
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        self.flights.join_or_lead(flight_key, may_join, || {
            let began = self.timeline.now();
            let (fill, stamp) = self.mirror.begin_fill(&ns.tenant.marks);
            let scopes = ns.entry_scopes(key, tags);
            (Flight::new(stamp, began, (scopes.tags().into(), scopes.global_tags().into())), fill)
        })
    }

    /// Starts the task of a leader.
    pub(super) fn take_off<V, E>(
        &self,
        request: Box<Request<V, E>>,
        lead: Lead<MapKey, LoadOutcome<V, E>>,
        fill: FillGuard,
        stale: Option<Arc<Entry<V>>>,
    ) where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        let stamp = lead.flight().stamp;
        let ns = &request.call.ns;
        let key = request.call.key.as_bytes();
        // hashed only where somebody listens
        let span = tracing::debug_span!("strata.load", tenant = %ns.tenant.id, key = ns.key_hash(key), forced = request.call.forced);
        let Request { call, load } = *request;
        let leader = Leader { call, stamp, fill, stale };
        self.spawner.start(leader.run(load, lead).instrument(span));
    }
}
