//! Steering a proxy.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{
    fault::{Faults, HttpFault, Requests},
    message::Response,
};
use crate::{proxy::Times, random::Random};

#[derive(Default)]
struct State {
    faults: Faults,
    counts: HashMap<String, usize>,
    /// Requests to which a fault happened.
    hit: usize,
    /// Of each path the first answer with an object.
    remembered: Option<HashMap<String, Response>>,
}

pub(super) struct Shared {
    state: Mutex<State>,
    random: Random,
    /// Rises when all connections are cut.
    cuts: watch::Sender<u64>,
}

/// Steers an [`HttpProxy`](super::HttpProxy); clones steer the same.
#[derive(Clone)]
pub struct HttpControls(pub(super) Arc<Shared>);

impl HttpControls {
    pub(super) fn new(seed: u64) -> Self {
        let (cuts, _) = watch::channel(0);
        Self(Arc::new(Shared { state: Mutex::default(), random: Random::new(seed), cuts }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // nothing in here panics between two changes
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a fault happen to some requests. Of several that hit, the one that was given first counts.
    pub fn fail(&self, requests: Requests, fault: HttpFault, times: Times) {
        self.state().faults.add(requests, fault, times);
    }

    /// Ends all faults. What hangs goes on hanging until [`cut`](Self::cut).
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Cuts all connections there are, those that hang among them.
    pub fn cut(&self) {
        self.0.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Remembers from now on the first answer that brings an object, for each path: for [`HttpFault::Replay`]. What was
    /// remembered before is forgotten.
    pub fn remember(&self) {
        self.state().remembered = Some(HashMap::new());
    }

    /// Counts the requests to which a fault happened since the start. A replay of what was never remembered is none.
    #[must_use]
    pub fn hit(&self) -> usize {
        self.state().hit
    }

    /// Counts the requests with a method since the start, or since they were last forgotten.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        self.state().counts.get(method).copied().unwrap_or(0)
    }

    /// Counts all requests.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().counts.values().sum()
    }

    /// Forgets the counts.
    pub fn reset_counts(&self) {
        self.state().counts.clear();
    }

    pub(super) fn draw(&self, method: &str, path: &str) -> Option<HttpFault> {
        let mut state = self.state();
        *state.counts.entry(method.to_owned()).or_default() += 1;
        let fault = state.faults.draw(method, path, &self.0.random);
        let known = state.remembered.as_ref().is_some_and(|all| all.contains_key(path));
        state.hit += usize::from(fault.as_ref().is_some_and(|fault| *fault != HttpFault::Replay || known));
        fault
    }

    pub(super) fn note(&self, method: &str, path: &str, response: &Response) {
        if method == "GET"
            && response.status() == Some(200)
            && let Some(remembered) = &mut self.state().remembered
        {
            remembered.entry(path.to_owned()).or_insert_with(|| response.clone());
        }
    }

    pub(super) fn remembered(&self, path: &str) -> Option<Response> {
        self.state().remembered.as_ref()?.get(path).cloned()
    }

    pub(super) fn cuts(&self) -> watch::Receiver<u64> {
        let mut cuts = self.0.cuts.subscribe();
        cuts.mark_unchanged();
        cuts
    }
}

impl fmt::Debug for HttpControls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpControls").field("requests", &self.requests()).finish_non_exhaustive()
    }
}
