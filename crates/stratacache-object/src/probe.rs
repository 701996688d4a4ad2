//! What is found out about a store before it is used.

use bytes::Bytes;
use stratacache_core::{Error, ErrorKind, Result};

use crate::{
    failure::Failure,
    guard::{Effect, Guard},
    names::ObjectName,
    store::Store,
};

const CONTENT: &[u8] = b"an object that a starting cache makes, reads and removes";

/// Reads, writes and removes an object of its own. Tells whether the store refuses to create what is there.
pub(crate) async fn probe(store: &Store, guard: &Guard) -> Result<bool> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|e| Error::new(ErrorKind::Internal, "the system gives no random bytes").with_source(e))?;
    // never the name that a ping reads
    let name = ObjectName::Probe(u128::from_le_bytes(random) | 1);
    let own = Own { store, guard, name };
    match own.read().await {
        Ok(None) => {}
        Ok(Some(_)) => return Err(odd("it had an object that was never written")),
        Err(failure) => return Err(failed("reading what is not there", &failure)),
    }
    let conditional = own.write().await.map_err(|failure| failed("writing an object", &failure))?;
    let read = own.read().await.map_err(|failure| failed("reading an object", &failure))?;
    own.remove().await.map_err(|failure| failed("removing an object", &failure))?;
    if read.as_deref() != Some(CONTENT) {
        return Err(odd("it did not give back what was written"));
    }
    match own.read().await {
        Ok(None) => Ok(conditional),
        Ok(Some(_)) => Err(odd("it gave back what was removed")),
        Err(failure) => Err(failed("reading what was removed", &failure)),
    }
}

/// The object of one probe.
struct Own<'a> {
    store: &'a Store,
    guard: &'a Guard,
    name: ObjectName,
}

impl Own<'_> {
    async fn read(&self) -> Result<Option<Bytes>, Failure> {
        let request = || self.store.get(self.name, 1 << 10);
        self.guard.send(self.guard.until(), Effect::Repeatable, request).await
    }

    async fn put(&self, create: bool) -> Result<(), Failure> {
        let request = || self.store.put(self.name, [Bytes::from_static(CONTENT), Bytes::new()], create);
        self.guard.send(self.guard.until(), Effect::Repeatable, request).await
    }

    async fn remove(&self) -> Result<(), Failure> {
        let request = || self.store.remove(self.name);
        self.guard.send(self.guard.until(), Effect::Repeatable, request).await
    }

    /// Creates it twice, and tells whether the second was refused.
    async fn write(&self) -> Result<bool, Failure> {
        match self.put(true).await {
            Ok(()) => match self.put(true).await {
                Err(Failure::Exists) => Ok(true),
                // it was written again, as if nobody had asked
                Ok(()) => Ok(false),
                Err(failure) => Err(failure),
            },
            // the condition is not understood, or not in a way that can be used
            Err(Failure::Unsupported | Failure::Refused(_) | Failure::Exists) => self.put(false).await.map(|()| false),
            Err(failure) => Err(failure),
        }
    }
}

fn odd(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the object store cannot be used: {what}"))
}

fn failed(doing: &str, failure: &Failure) -> Error {
    let advice = match failure {
        Failure::Refused(said) if said.status == 403 => {
            ". The user needs GetObject, PutObject and DeleteObject on the objects under the prefix, and ListBucket on the \
             bucket: without it S3 answers 403 for what is not there"
        }
        Failure::Refused(said) if said.status == 401 => ". The credentials are not known to the store",
        Failure::Refused(said) if (300..400).contains(&said.status) => ". The region or the endpoint is another",
        _ => "",
    };
    let error = Error::from(failure.of_tier(false));
    Error::new(error.kind(), format!("{failure} ({doing}){advice}"))
}
