//! Scanning the reference tier.

use stratacache_core::{
    EntryName,
    tier::{Look, ScanPage, ScanRequest, ScannedEntry, TierError, TierErrorKind, TierScan},
};

use super::MemoryTier;

/// It walks in the order of the names. Its cursor is the last name that was looked at.
impl TierScan for MemoryTier {
    fn tier(&self) -> &str {
        stratacache_core::tier::Tier::name(self)
    }

    async fn page(&self, request: ScanRequest) -> Result<ScanPage, TierError> {
        let read = |text: &str| {
            let number = u128::from_str_radix(text, 16);
            number.map_err(|_| TierError::new(TierErrorKind::Corrupt, "this is no cursor of a scan of the memory tier"))
        };
        let after = request.cursor.as_deref().map(read).transpose()?;
        let number = |name: EntryName| u128::from_be_bytes(name.to_bytes());
        let mut names: Vec<EntryName> = self.names();
        names.retain(|name| after.is_none_or(|after| number(*name) > after));
        names.sort_unstable_by_key(|name| number(*name));
        let mut page = ScanPage::default();
        if names.len() > request.most {
            names.truncate(request.most);
            page.cursor = names.last().map(|name| format!("{:032x}", number(*name)));
        }
        page.examined = names.len() as u64;
        for name in names {
            let Some(envelope) = self.raw(name) else { continue };
            match request.look(&envelope) {
                Look::Take(length) => page.entries.push(ScannedEntry::new(name, envelope.slice(..length))),
                Look::Skip => {}
                _ => page.skipped += 1,
            }
        }
        Ok(page)
    }
}
