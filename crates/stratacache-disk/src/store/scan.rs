//! Walking through the table, for an operator.

use std::io;

use bytes::Bytes;
use stratacache_core::{
    EntryName,
    envelope::HEAD,
    tier::{Look, ScanPage, ScanRequest, ScannedEntry, TierError},
};

use super::{Store, index::Place, record};
use crate::error;

/// How much of an envelope is read at first: its head, some tags and a key, which is all of most.
const FIRST: usize = HEAD + 384;

/// Where a walk goes on: in a shard, after a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScanPlace {
    shard: usize,
    after: Option<EntryName>,
}

impl ScanPlace {
    /// Reads what [`text`](Self::text) wrote.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (shard, after) = text.split_once('-')?;
        let after = match after {
            "" => None,
            digits => Some(EntryName::from_bytes(u128::from_str_radix(digits, 16).ok()?.to_le_bytes())),
        };
        Some(Self { shard: shard.parse().ok()?, after })
    }

    fn text(self) -> String {
        let after = self.after.map(|name| format!("{:032x}", u128::from_le_bytes(name.to_bytes())));
        format!("{}-{}", self.shard, after.unwrap_or_default())
    }
}

impl Store {
    /// Looks at entries from a place on; blocks.
    pub(crate) fn scan(&self, request: &ScanRequest, from: ScanPlace) -> Result<ScanPage, TierError> {
        let mut page = ScanPage::default();
        let mut place = from;
        while place.shard < self.index.shards() {
            let names = self.index.after(place.shard, place.after);
            for (name, at) in names {
                if page.examined >= request.most as u64 {
                    page.cursor = Some(place.text());
                    return Ok(page);
                }
                page.examined += 1;
                place.after = Some(name);
                match self.first_of(request, at) {
                    Ok(Some(first)) => page.entries.push(ScannedEntry::new(name, first)),
                    Ok(None) => {}
                    Err(Odd::Skipped) => page.skipped += 1,
                    Err(Odd::Device(error)) => return Err(error::tier(error, "scanning")),
                }
            }
            place = ScanPlace { shard: place.shard + 1, after: None };
        }
        Ok(page)
    }

    /// Reads the first bytes of an envelope, if they are looked for.
    fn first_of(&self, request: &ScanRequest, at: Place) -> Result<Option<Bytes>, Odd> {
        // it went with its segment meanwhile
        let Some(segment) = self.segments.read().get(&at.segment).cloned() else { return Ok(None) };
        let length = at.len as usize;
        let mut most = FIRST.min(length);
        loop {
            let record = match segment.read(at.offset, most as u32) {
                Ok(record) => Bytes::from(record).slice(record::HEAD..),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(Odd::Skipped),
                Err(e) => return Err(Odd::Device(e)),
            };
            match request.look(&record) {
                Look::Take(bytes) => return Ok(Some(record.slice(..bytes))),
                Look::Skip => return Ok(None),
                Look::Further(needs) if most < needs && needs <= length => most = needs,
                _ => return Err(Odd::Skipped),
            }
        }
    }
}

/// Why an entry was not looked at.
enum Odd {
    Skipped,
    Device(io::Error),
}
