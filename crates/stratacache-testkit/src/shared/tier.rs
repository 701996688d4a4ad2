//! The tier of a node.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use stratacache_core::tier::{
    Capability, GetMany, Got, PutItem, PutMany, PutOutcome, RemoveMany, Tier, TierError, TierErrorKind, Want,
};

use super::{FENCE_LIFE, SharedStore, Step, node::Node};

/// The tier of a [`SharedNode`](super::SharedNode): fenced by leases, shared, named `shared`, without a limit of weight and
/// with a deadline of 250 ms.
///
/// A batch is one call to the store, and one script for each name.
pub struct SharedTier {
    node: Arc<Node>,
    closed: AtomicBool,
}

impl SharedTier {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node, closed: AtomicBool::new(false) }
    }

    fn check_open(&self) -> Result<(), TierError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(TierError::new(TierErrorKind::Closed, "this handle of the shared tier was closed"));
        }
        Ok(())
    }

    async fn call<R: Send>(
        &self,
        step: Step,
        effect: impl FnOnce(&SharedStore) -> R + Send + 'static,
    ) -> Result<R, TierError> {
        self.check_open()?;
        let store = self.node.store.clone();
        Ok(self.node.link.call(step, move || effect(&store)).await?)
    }
}

impl Tier for SharedTier {
    fn name(&self) -> &str {
        "shared"
    }

    fn capability(&self) -> Capability {
        Capability::new().fenced(true).leased(true).shared(true)
    }

    async fn get_many(&self, request: GetMany) -> Result<Vec<Got>, TierError> {
        let GetMany { names, want, life, .. } = request;
        let life = life.unwrap_or(FENCE_LIFE);
        match want {
            Want::Fence => {
                let take = move |store: &SharedStore| {
                    names.into_iter().map(|name| Got::new(None, Some(store.take_for(name, life)))).collect()
                };
                self.call(Step::Take, take).await
            }
            _ => {
                let get =
                    move |store: &SharedStore| names.into_iter().map(|name| Got::new(store.get(name), None)).collect();
                self.call(Step::Get, get).await
            }
        }
    }

    async fn put_many(&self, request: PutMany) -> Result<Vec<PutOutcome>, TierError> {
        let fill = |store: &SharedStore| {
            let outcome = |item: PutItem| if store.fill(item) { PutOutcome::Stored } else { PutOutcome::Fenced };
            request.items.into_iter().map(outcome).collect()
        };
        self.call(Step::Fill, fill).await
    }

    async fn remove_many(&self, request: RemoveMany) -> Result<Vec<Result<(), TierError>>, TierError> {
        let remove = |store: &SharedStore| {
            let count = request.names.len();
            request.names.into_iter().for_each(|name| store.del_fence(name));
            vec![Ok(()); count]
        };
        self.call(Step::DelFence, remove).await
    }

    async fn ping(&self) -> Result<(), TierError> {
        self.call(Step::Ping, |_| ()).await
    }

    fn used_bytes(&self) -> Option<u64> {
        Some(self.node.store.bytes())
    }

    async fn close(&self) -> Result<(), TierError> {
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

impl fmt::Debug for SharedTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTier").field("store", &self.node.store).finish_non_exhaustive()
    }
}
