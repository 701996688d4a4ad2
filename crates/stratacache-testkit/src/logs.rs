//! What is logged while a test runs, to look for what must be in it and for what must never be.
//!
//! ```
//! use stratacache_testkit::logs::Log;
//!
//! let log = Log::default();
//! let subscriber = tracing_subscriber::fmt().with_writer(log.writer()).finish();
//! tracing::subscriber::with_default(subscriber, || tracing::warn!(tier = "disk", "a tier failed"));
//! assert!(log.text().contains("a tier failed"));
//! ```

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// Holds everything that is written to it. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Returns what `tracing_subscriber::fmt().with_writer(..)` takes.
    pub fn writer(&self) -> impl Fn() -> Self + Send + Sync + 'static {
        let log = self.clone();
        move || log.clone()
    }

    /// Returns what was written so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
