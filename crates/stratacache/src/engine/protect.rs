//! Running a loader: in its turn, in its tenant's place, behind its breaker, and again where it may be.

use std::{future::Future, sync::Arc, time::Duration};

use stratacache_core::{Key, breaker::Turn, event::EventKind};
use tokio::time::{sleep, timeout};

use super::{Door, catch::catching, lead::BoxFuture, places::Place};
use crate::{
    LoadError,
    loaders::{Begun, Loader, Refused, Retry, Seat},
    observe::Counter,
};

/// What a load goes by besides its policy.
#[derive(Clone, Default)]
pub(crate) struct Protection {
    /// The declared loader whose limits hold.
    pub(crate) loader: Option<Arc<Loader>>,
    pub(crate) retry: Option<Retry>,
}

/// A loader, and how to have it once more.
pub(crate) struct Loading<L> {
    load: L,
    again: Option<Box<dyn FnMut() -> L + Send>>,
}

impl<L> Loading<L> {
    /// Takes a loader that can be called once.
    pub(crate) fn once(load: L) -> Self {
        Self { load, again: None }
    }

    /// Takes what makes a loader as often as it is needed.
    pub(crate) fn repeatable(mut make: impl FnMut() -> L + Send + 'static) -> Self {
        Self { load: make(), again: Some(Box::new(make)) }
    }
}

/// A load that is about to run.
pub(super) struct Running<'a, V: 'static> {
    pub(super) ns: &'a Door,
    /// Of several, the first: what is counted is counted there.
    pub(super) key: &'a Key<V>,
    pub(super) protection: &'a Protection,
    /// A warm-up brings its place.
    pub(super) place: Option<Place>,
    /// For everything: waiting, calls and pauses.
    pub(super) limit: Duration,
}

/// A call under way. Dropped without an end, it took too long.
struct Calling<'a> {
    ns: &'a Door,
    loader: &'a Loader,
    begun: Option<Begun<'a>>,
}

impl Calling<'_> {
    fn end(&mut self, failed: bool) {
        let Some(turn) = self.begun.take().and_then(|begun| begun.end(failed)) else { return };
        let loader = self.loader.name.to_string();
        match turn {
            Turn::Opened => {
                tracing::warn!(loader, "the loader fails and is left alone for a while");
                self.ns.engine.report(None, EventKind::LoaderDown { loader });
            }
            Turn::Closed => self.ns.engine.report(None, EventKind::LoaderUp { loader }),
        }
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.end(true);
    }
}

/// Returns the error of a load that a loader refused.
pub(super) fn refusal<E>(loader: &Loader, refused: Refused) -> LoadError<E> {
    match refused {
        Refused::Busy => LoadError::LoaderBusy(Arc::clone(&loader.name)),
        Refused::Down(left) => LoadError::LoaderDown(left),
    }
}

impl<V: 'static> Running<'_, V> {
    /// Runs the loader, which `call` is given with the number of the call.
    pub(super) async fn run<L: Send, T, E>(
        self,
        loading: Loading<L>,
        call: impl FnMut(L, u32) -> BoxFuture<Result<T, E>> + Send,
    ) -> Result<T, LoadError<E>> {
        let engine = &self.ns.engine;
        engine.timing_load(timeout(self.limit, self.calls(loading, call))).await.unwrap_or(Err(LoadError::Timeout))
    }

    async fn calls<L: Send, T, E>(
        self,
        loading: Loading<L>,
        mut call: impl FnMut(L, u32) -> BoxFuture<Result<T, E>> + Send,
    ) -> Result<T, LoadError<E>> {
        let Loading { mut load, mut again } = loading;
        let timeline = &self.ns.engine.timeline;
        let until = timeline.now().saturating_add(self.limit.as_millis() as u64);
        self.earn();
        let (mut calls, mut last) = (0, None);
        loop {
            calls += 1;
            let outcome = self.once(async { call(load, calls).await }).await;
            let error = match outcome {
                Err(error @ LoadError::Loader(_)) => error,
                // what the loader said is worth more than why it was not asked again
                Err(refused) if refused.is_refusal() => return Err(last.unwrap_or(refused)),
                done => return done,
            };
            let (Some(again), Some(retry)) = (&mut again, &self.protection.retry) else { return Err(error) };
            let pause = retry.pause(calls, self.ns.engine.jitter.unit());
            let fits = |pause: &Duration| timeline.now().saturating_add(pause.as_millis() as u64) < until;
            let Some(pause) = pause.filter(fits).filter(|_| self.take_retry()) else { return Err(error) };
            tracing::debug!(calls, ?pause, "the load failed and is tried again");
            sleep(pause).await;
            self.ns.count(self.key, Counter::load_retries);
            load = again();
            last = Some(error);
        }
    }

    fn earn(&self) {
        match &self.protection.loader {
            Some(loader) => loader.earn(),
            None if self.protection.retry.is_some() => self.ns.tenant.retries.earn(),
            None => {}
        }
    }

    fn take_retry(&self) -> bool {
        match &self.protection.loader {
            Some(loader) => loader.take_retry(),
            None => self.ns.tenant.retries.take(),
        }
    }

    /// Calls the loader when all let it begin.
    async fn once<T, E>(&self, load: impl Future<Output = Result<T, E>>) -> Result<T, LoadError<E>> {
        let Some(loader) = &self.protection.loader else {
            let _place = self.take_place().await?;
            self.pace().await;
            return self.call(load).await;
        };
        let refused = |refused| refusal(loader, refused);
        loader.check_up().map_err(refused)?;
        self.pace().await;
        let (_seat, _place) = self.turn(loader).await?;
        let begun = loader.begin().map_err(refused)?;
        let mut calling = Calling { ns: self.ns, loader, begun: Some(begun) };
        let outcome = self.call(load).await;
        calling.end(outcome.is_err());
        outcome
    }

    async fn call<T, E>(&self, load: impl Future<Output = Result<T, E>>) -> Result<T, LoadError<E>> {
        self.ns.count(self.key, Counter::loads);
        match catching(load).await {
            Ok(result) => result.map_err(|e| LoadError::Loader(Arc::new(e))),
            Err(message) => Err(LoadError::Panicked(message)),
        }
    }

    /// Waits for one of the tenant's places, unless one was brought.
    async fn take_place<E>(&self) -> Result<Option<Place>, LoadError<E>> {
        match self.place {
            Some(_) => Ok(None),
            None => self.ns.tenant.loads.take().await.map(Some).ok_or(LoadError::Closed),
        }
    }

    /// Waits for the tenant's turn at a loader, and for one of the tenant's places. Nobody waits for one with the other in hand, but
    /// one at the head of its line: so a loader that is slow takes no places from loads of others, nor a tenant with many loads
    /// the turns of other tenants.
    async fn turn<E>(&self, loader: &Loader) -> Result<(Seat, Option<Place>), LoadError<E>> {
        let tenant = &self.ns.tenant;
        let refused = |refused| refusal(loader, refused);
        let seat = loader.turn(tenant.number, None).await.map_err(refused)?;
        if self.place.is_some() {
            return Ok((seat, None));
        }
        if let Some(place) = tenant.loads.try_take() {
            return Ok((seat, Some(place)));
        }
        let aside = seat.step_aside();
        let place = self.take_place().await?;
        Ok((loader.turn(tenant.number, Some(aside)).await.map_err(refused)?, place))
    }

    /// Waits until the tenant may begin another load, in turn.
    async fn pace(&self) {
        let Some(pace) = &self.ns.tenant.pace else { return };
        let mut pace = pace.lock().await;
        let clock = self.ns.engine.timeline.clock();
        loop {
            let now = clock.now();
            let wait = pace.wait(now);
            if wait.is_zero() {
                return pace.begin(now);
            }
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }
}
