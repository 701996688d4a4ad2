//! A table of books in SQLite, as a source: each method is one query.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use stratacache::{
    Policy, minutes,
    resource::{CountSource, ListSource, PartitionSource, Partitions, Source, Window, WritableSource, Written},
};
use tokio::sync::Mutex;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) id: i64,
    pub(crate) shelf: String,
    pub(crate) title: String,
}

impl Book {
    pub(crate) fn new(id: i64, shelf: &str, title: &str) -> Self {
        Self { id, shelf: shelf.to_owned(), title: title.to_owned() }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, shelf: row.get(1)?, title: row.get(2)? })
    }
}

/// The books of one library. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Books(Arc<Inner>);

struct Inner {
    // small and in memory; a large one is asked where it may block
    connection: Mutex<Connection>,
    queries: AtomicU64,
}

impl Books {
    pub(crate) fn open() -> rusqlite::Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection
            .execute_batch("CREATE TABLE books (id INTEGER PRIMARY KEY, shelf TEXT NOT NULL, title TEXT NOT NULL)")?;
        for id in 1..=30 {
            let shelf = ["history", "physics", "poetry"][(id % 3) as usize];
            connection.execute("INSERT INTO books VALUES (?1, ?2, ?3)", (id, shelf, format!("title {id}")))?;
        }
        Ok(Self(Arc::new(Inner { connection: Mutex::new(connection), queries: AtomicU64::new(0) })))
    }

    /// Returns how many queries ran.
    pub(crate) fn queries(&self) -> u64 {
        self.0.queries.load(SeqCst)
    }

    async fn sql<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        self.0.queries.fetch_add(1, SeqCst);
        work(&*self.0.connection.lock().await)
    }
}

impl Source for Books {
    const NAME: &'static str = "books";
    const POLICY: Policy = Policy::ttl(minutes(10));
    type Id = i64;
    type Item = Book;
    type Error = rusqlite::Error;

    fn id(book: &Book) -> i64 {
        book.id
    }

    async fn one(&self, id: &i64) -> rusqlite::Result<Option<Book>> {
        self.sql(|sql| sql.query_row("SELECT * FROM books WHERE id = ?1", [id], Book::read).optional()).await
    }

    async fn many(&self, ids: Vec<i64>) -> rusqlite::Result<Vec<Book>> {
        let marks = vec!["?"; ids.len()].join(", ");
        self.sql(|sql| {
            let mut query = sql.prepare(&format!("SELECT * FROM books WHERE id IN ({marks})"))?;
            query.query_map(rusqlite::params_from_iter(ids), Book::read)?.collect()
        })
        .await
    }
}

impl ListSource for Books {
    type Filter = ();

    async fn list(&self, (): &(), window: Window) -> rusqlite::Result<Vec<Book>> {
        self.sql(|sql| {
            let mut query = sql.prepare("SELECT * FROM books ORDER BY title, id LIMIT ?1 OFFSET ?2")?;
            query.query_map((window.limit as i64, window.offset as i64), Book::read)?.collect()
        })
        .await
    }
}

impl CountSource for Books {
    async fn count(&self, (): &()) -> rusqlite::Result<u64> {
        self.sql(|sql| sql.query_row("SELECT count(*) FROM books", (), |row| row.get::<_, i64>(0)))
            .await
            .map(|n| n as u64)
    }
}

impl PartitionSource for Books {
    type Partition = String;

    async fn partition(&self, shelf: &String) -> rusqlite::Result<Vec<Book>> {
        self.sql(|sql| {
            let mut query = sql.prepare("SELECT * FROM books WHERE shelf = ?1 ORDER BY id")?;
            query.query_map([shelf], Book::read)?.collect()
        })
        .await
    }
}

impl WritableSource for Books {
    type Draft = Book;

    async fn save(&self, book: Book) -> rusqlite::Result<Written<Book>> {
        let before = self.one(&book.id).await?; // so that only two shelves are forgotten, not all
        let row = (book.id, &book.shelf, &book.title);
        self.sql(|sql| sql.execute("INSERT OR REPLACE INTO books VALUES (?1, ?2, ?3)", row)).await?;
        Ok(match before {
            Some(before) => Written::replaced(before, book),
            None => Written::created(book),
        })
    }

    async fn delete(&self, id: &i64) -> rusqlite::Result<Written<Book>> {
        let gone =
            self.sql(|sql| sql.query_row("DELETE FROM books WHERE id = ?1 RETURNING *", [id], Book::read).optional());
        Ok(gone.await?.map_or_else(Written::nothing, Written::deleted))
    }

    fn wrote_nothing(_: &rusqlite::Error) -> bool {
        true // one statement, wholly or not at all
    }

    fn partitions(book: &Book, into: &mut Partitions) {
        into.add(&book.shelf);
    }
}
