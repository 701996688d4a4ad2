//! Many values written by hand: in batches, and each as an insert of its own.

use std::{collections::HashMap, sync::Arc};

use stratacache_core::{Error, ErrorKind, Result, Token};
use tracing::Instrument;

use super::{
    Engine, WriteRequest,
    fill::BATCH,
    write::{Few, WriteFailure, WriteItem},
};
use crate::codec::CacheValue;

/// So many of the items that failed are named.
const NAMED: usize = 32;

/// Says which of many items an error is about: by its index, and by what stands for its key in logs.
pub(crate) fn error_of_item(index: usize, key_hash: u64, error: Error) -> Error {
    Error::new(error.kind(), format!("item {index} (key hash {key_hash:016x}): {}", error.message())).with_source(error)
}

impl Engine {
    /// Inserts many values, to the end even if the caller goes away, and returns a token for each. The caller has checked
    /// the policies and the tags.
    pub(crate) async fn insert_many<V: CacheValue>(self: &Arc<Self>, request: WriteRequest<V>) -> Result<Vec<Token>> {
        let engine = Arc::clone(self);
        self.write_to_the_end(async move { engine.insert_many_here(request).await }).await
    }

    async fn insert_many_here<V: CacheValue>(&self, request: WriteRequest<V>) -> Result<Vec<Token>> {
        let WriteRequest { ns, items, tags, stamp } = request;
        // one stamp for all: what is invalidated while they are written beats those that come later too, and the marks
        // that tell are kept until the last is written
        let (_fill, now) = self.mirror.begin_fill(&ns.tenant.marks);
        let stamp = Some(stamp.unwrap_or(now));
        let winners: Vec<usize> = {
            let keys = || items.iter().map(|item| item.key.as_bytes());
            let last: HashMap<&[u8], usize> = keys().zip(0..).collect();
            keys().map(|key| last[key]).collect()
        };
        let mut tokens: Vec<Option<Token>> = vec![None; items.len()];
        // of a key that is there more than once, only the last value is written
        let mut rest = items.into_iter().enumerate().filter(|(index, _)| winners[*index] == *index).peekable();
        while rest.peek().is_some() {
            let (indices, items): (Vec<usize>, Few<WriteItem<V>>) = rest.by_ref().take(BATCH).unzip();
            let batch = WriteRequest { ns: Arc::clone(&ns), items, tags: tags.clone(), stamp };
            let written = self
                .insert_here(batch)
                .instrument(ns.span_of_insert())
                .await
                .map_err(|failure| failure.named(&indices))?;
            indices.iter().zip(written).for_each(|(index, token)| tokens[*index] = Some(token));
        }
        let token = |(index, winner): (usize, &usize)| {
            let token = tokens[*winner]?;
            Some(if index == *winner { token } else { token.into_superseded() })
        };
        let all: Option<Vec<Token>> = winners.iter().enumerate().map(token).collect();
        all.ok_or_else(|| Error::new(ErrorKind::Internal, "an insert gave no token"))
    }
}

impl WriteFailure {
    /// Returns the error, naming the items by their indices in the call.
    fn named(self, indices: &[usize]) -> Error {
        let Self { items, error } = self;
        if let [(place, key_hash)] = items[..] {
            return error_of_item(indices[place], key_hash, error);
        }
        if !items.is_empty() {
            let mut named: Vec<String> = items
                .iter()
                .take(NAMED)
                .map(|(place, hash)| format!("{} (key hash {hash:016x})", indices[*place]))
                .collect();
            if items.len() > NAMED {
                named.push(format!("{} more", items.len() - NAMED));
            }
            let message = format!("items {}: {}", named.join(", "), error.message());
            return Error::new(error.kind(), message).with_source(error);
        }
        let (first, last) = (indices.first().unwrap_or(&0), indices.last().unwrap_or(&0));
        Error::new(error.kind(), format!("items {first} to {last}: {}", error.message())).with_source(error)
    }
}
