//! Refreshing behind a reader: one at a time, and not before the back-off has passed.

use std::sync::Arc;

use super::{Engine, Request, lead::LoadOutcome};
use crate::{
    codec::CacheValue,
    flight::{Flight, Role},
    memory::Entry,
    observe::Counter,
};

impl Engine {
    /// Starts a load behind the reader of `entry`, unless one is under way. Nobody waits for it.
    pub(super) fn refresh_behind<V, E>(self: &Arc<Self>, mut request: Request<V, E>, entry: Arc<Entry<V>>)
    where
        V: CacheValue,
        E: Send + Sync + 'static,
    {
        request.call.share = true;
        // readers that miss may join it: the key is that of a read
        let flight_key = self.flight_key(&request);
        request.call.forced = true;
        let ns = request.call.ns.clone();
        let mut fill = None;
        let role = self.flights.join_or_lead(
            flight_key,
            |_: &Flight<LoadOutcome<V, E>>| true,
            || {
                let (guard, stamp) = self.mirror.begin_fill(&ns.tenant.marks);
                fill = Some(guard);
                let scopes = ns.entry_scopes(&request.call.tags);
                Flight::new(stamp, (scopes.tags().into(), scopes.global_tags().into()))
            },
        );
        if let (Role::Lead(lead), Some(fill)) = (role, fill) {
            ns.count(&request.call.key, Counter::refreshes);
            self.take_off(request, lead, fill, Some(entry));
        }
    }
}
