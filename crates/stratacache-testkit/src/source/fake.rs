//! Rows, and a count of who asked for which.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::hold::{Gate, HeldReads};

/// Reports why a [`FakeSource`] did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError {
    /// The test said so: [`FakeSource::fail`], [`FakeSource::fail_next`].
    Down,
    /// [`FakeSource::read`] was asked for a row that is not there.
    NoRow,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "the source is down, as the test asked for",
            Self::NoRow => "the source has no such row",
        })
    }
}

impl std::error::Error for SourceError {}

/// Stands for a data base with rows of one kind.
///
/// Clones are the same source, so a loader takes one along: `async move || prices.read("apple").await`. A call of
/// [`read`](Self::read), [`find`](Self::find) or [`find_many`](Self::find_many) is one read, counted when it begins, whatever comes of it.
/// [`hold`](Self::hold) stops reads between the moment they saw the rows and their answer, which is where races with writes
/// are.
pub struct FakeSource<K, V>(Arc<State<K, V>>);

struct State<K, V> {
    rows: Mutex<Rows<K, V>>,
    gate: Arc<Gate>,
}

struct Rows<K, V> {
    values: HashMap<K, V>,
    reads: usize,
    reads_of: HashMap<K, usize>,
    down: bool,
    failures: usize,
}

impl<K, V> FakeSource<K, V>
where
    K: Eq + Hash + Clone + fmt::Debug,
    V: Clone,
{
    /// Makes a source with some rows.
    pub fn new(rows: impl IntoIterator<Item = (K, V)>) -> Self {
        let rows =
            Rows { values: rows.into_iter().collect(), reads: 0, reads_of: HashMap::new(), down: false, failures: 0 };
        Self(Arc::new(State { rows: Mutex::new(rows), gate: Arc::default() }))
    }

    /// Commits a row; returns what was there.
    pub fn write(&self, key: impl Into<K>, value: impl Into<V>) -> Option<V> {
        self.rows().values.insert(key.into(), value.into())
    }

    /// Deletes a row; returns what was there.
    pub fn delete(&self, key: &K) -> Option<V> {
        self.rows().values.remove(key)
    }

    /// Returns a row without counting a read, and though the source be down: for the test itself.
    #[must_use]
    pub fn peek(&self, key: &K) -> Option<V> {
        self.rows().values.get(key).cloned()
    }

    /// Reads a row that must be there.
    ///
    /// # Errors
    /// [`SourceError::NoRow`], [`SourceError::Down`].
    ///
    /// # Cancel safety
    /// May be dropped at any time: it is counted, and held no more.
    pub async fn read(&self, key: impl Into<K>) -> Result<V, SourceError> {
        self.find(key).await?.ok_or(SourceError::NoRow)
    }

    /// Reads a row, if it is there: for loaders of `Option<V>`.
    ///
    /// # Errors
    /// [`SourceError::Down`].
    ///
    /// # Cancel safety
    /// As [`read`](Self::read).
    pub async fn find(&self, key: impl Into<K>) -> Result<Option<V>, SourceError> {
        let found = self.find_many(vec![key.into()]).await?;
        Ok(found.into_iter().next().map(|(_, value)| value))
    }

    /// Reads those of some rows that are there, in the order of the keys: for bulk loaders.
    ///
    /// # Errors
    /// [`SourceError::Down`].
    ///
    /// # Cancel safety
    /// As [`read`](Self::read).
    pub async fn find_many(&self, keys: Vec<K>) -> Result<Vec<(K, V)>, SourceError> {
        let seen = self.begin(keys);
        self.0.gate.pass().await;
        seen
    }

    /// Makes every read from now on fail, or answer again.
    pub fn fail(&self, down: bool) {
        self.rows().down = down;
    }

    /// Makes the next `reads` reads fail.
    pub fn fail_next(&self, reads: usize) {
        self.rows().failures = reads;
    }

    /// Stops reads that begin from now on after they have seen the rows, until the guard is released or dropped.
    #[must_use = "dropping the guard releases the reads"]
    pub fn hold(&self) -> HeldReads {
        HeldReads::new(Arc::clone(&self.0.gate))
    }

    /// Returns how many reads have begun.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.rows().reads
    }

    /// Returns how many reads that have begun asked for this row.
    #[must_use]
    pub fn reads_of(&self, key: &K) -> usize {
        self.rows().reads_of.get(key).copied().unwrap_or(0)
    }

    /// Asserts how many reads have begun.
    ///
    /// # Panics
    /// When it is another number; says how often each row was asked for.
    #[track_caller]
    pub fn assert_reads(&self, expected: usize) {
        let rows = self.rows();
        let (found, by_row) = (rows.reads, format!("{:?}", rows.reads_of));
        drop(rows); // a panic must not poison it
        assert!(found == expected, "the source was read {found} times, and not {expected}; by row: {by_row}");
    }

    /// Asserts how many reads asked for one row.
    ///
    /// # Panics
    /// When it is another number; says how often each row was asked for.
    #[track_caller]
    pub fn assert_reads_of(&self, key: &K, expected: usize) {
        let found = self.reads_of(key);
        let by_row = format!("{:?}", self.rows().reads_of);
        assert!(found == expected, "row {key:?} was read {found} times, and not {expected}; by row: {by_row}");
    }

    fn begin(&self, keys: Vec<K>) -> Result<Vec<(K, V)>, SourceError> {
        let mut rows = self.rows();
        rows.reads += 1;
        for key in &keys {
            *rows.reads_of.entry(key.clone()).or_default() += 1;
        }
        let scripted = rows.failures > 0;
        rows.failures -= usize::from(scripted);
        if rows.down || scripted {
            return Err(SourceError::Down);
        }
        let found = |key: K| rows.values.get(&key).cloned().map(|value| (key, value));
        Ok(keys.into_iter().filter_map(found).collect())
    }

    fn rows(&self) -> MutexGuard<'_, Rows<K, V>> {
        self.0.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Clone for FakeSource<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> fmt::Debug for FakeSource<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeSource").field("held", &self.0.gate.held()).finish_non_exhaustive()
    }
}
