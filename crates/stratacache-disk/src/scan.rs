//! An operator's scan: it lists the entries of one tenant that keep their keys.

use std::sync::Arc;

use stratacache_core::tier::{ScanPage, ScanRequest, TierError, TierErrorKind, TierScan};

use crate::{spawn, store::ScanPlace, tier::Shared};

/// Lists the entries of a tenant that keep their keys, for an operator: what `namespace.scan_keys` of `stratacache` looks through. Made by
/// [`Disk::scan`](crate::Disk::scan).
///
/// It looks at the first bytes of every entry, in one blocking job for each page. A directory is of one process: it has to be the one that
/// serves. After the tier was closed it fails with [`TierErrorKind::Closed`].
#[derive(Debug, Clone)]
pub struct DiskScan {
    pub(crate) shared: Arc<Shared>,
}

impl TierScan for DiskScan {
    fn tier(&self) -> &str {
        "disk"
    }

    async fn page(&self, request: ScanRequest) -> Result<ScanPage, TierError> {
        let from = match &request.cursor {
            None => ScanPlace::default(),
            Some(text) => ScanPlace::read(text)
                .ok_or_else(|| TierError::new(TierErrorKind::Corrupt, "this is no cursor of a scan of the disk"))?,
        };
        let shared = Arc::clone(&self.shared);
        spawn::blocking(move || shared.with(|store| store.scan(&request, from))).await??
    }
}
