//! An operator's scan: it lists the entries of one tenant that keep their keys.

use std::fmt;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use stratacache_core::{
    EntryName,
    envelope::HEAD,
    tier::{Look, ScanPage, ScanRequest, ScannedEntry, TierError, TierErrorKind, TierScan},
};

use crate::{
    failure::Failure,
    frame::{self, Frame},
    guard::{Effect, Guard},
    names::{self, ObjectName},
    store::Store,
};

/// How much of an object is read at first: its head, some tags and a key, which is all of most.
const FIRST: usize = frame::HEAD + HEAD + 384;

/// Lists the entries of a tenant that keep their keys, for an operator, beside the nodes: what `namespace.scan_keys` of `stratacache` looks
/// through. Made by [`ObjectBuilder::scan`](crate::ObjectBuilder::scan).
///
/// It lists the prefix and reads the first bytes of each object: a request for each, which a store charges for. Its user may
/// `GetObject` under the prefix and `ListBucket` with the prefix as a condition, and nothing else. It writes nothing.
pub struct ObjectScan {
    store: Store,
    guard: Guard,
    shown: String,
}

/// What the first bytes of an object are.
enum First {
    Wanted(EntryName, Bytes),
    Other,
    Odd,
}

impl ObjectScan {
    pub(crate) const fn new(store: Store, guard: Guard, shown: String) -> Self {
        Self { store, guard, shown }
    }

    async fn walk(&self, request: &ScanRequest, after: Option<ObjectName>) -> Result<ScanPage, Failure> {
        let list = || self.store.list(after, request.most);
        let listed = self.guard.send(self.guard.until(), Effect::Repeatable, list).await?;
        let entries = listed.objects.iter().filter_map(|object| match object.name {
            ObjectName::Entry(name) => Some(self.first_of(request, name)),
            ObjectName::Probe(_) => None,
        });
        let firsts = stream::iter(entries.collect::<Vec<_>>()).buffered(self.guard.bounds.requests as usize);
        let mut firsts = std::pin::pin!(firsts);
        let mut page = ScanPage::default();
        page.examined = listed.objects.len() as u64;
        while let Some(first) = firsts.next().await {
            match first? {
                First::Wanted(name, first) => page.entries.push(ScannedEntry::new(name, first)),
                First::Other => {}
                First::Odd => page.skipped += 1,
            }
        }
        page.cursor = listed.objects.last().filter(|_| !listed.last).map(|object| object.name.to_string());
        Ok(page)
    }

    async fn first_of(&self, request: &ScanRequest, name: EntryName) -> Result<First, Failure> {
        let mut most = FIRST;
        loop {
            let read = || self.store.first(ObjectName::Entry(name), most);
            let first = self.guard.send(self.guard.until(), Effect::Repeatable, read).await?;
            let Some(first) = first else { return Ok(First::Other) }; // it is gone
            if Frame::read(&first).is_none() {
                return Ok(First::Odd);
            }
            let envelope = first.slice(frame::HEAD..);
            match request.look(&envelope) {
                Look::Take(length) => return Ok(First::Wanted(name, envelope.slice(..length))),
                Look::Skip => return Ok(First::Other),
                Look::Further(needs) if frame::HEAD + needs > most => most = frame::HEAD + needs,
                _ => return Ok(First::Odd),
            }
        }
    }
}

impl TierScan for ObjectScan {
    fn tier(&self) -> &str {
        "object"
    }

    async fn page(&self, request: ScanRequest) -> Result<ScanPage, TierError> {
        let read = |text: &str| {
            names::parse(text).ok_or_else(|| {
                TierError::new(TierErrorKind::Corrupt, "this is no cursor of a scan of the object store")
            })
        };
        let after = request.cursor.as_deref().map(read).transpose()?;
        self.walk(&request, after).await.map_err(|failure| failure.of_tier(false))
    }
}

impl fmt::Debug for ObjectScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectScan").field("place", &self.shown).finish_non_exhaustive()
    }
}
