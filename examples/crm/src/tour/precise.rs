//! One save, and what it costs: what was made of the contact is read from SQLite again, and nothing else.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use super::{Scene, client::Visitor};
use crate::db::{Contact, Db, Draft, Page};

/// The company that writes, and one that does not: not popular ones, so that nobody else asks for them.
const WRITER: u64 = 150;
const OTHER: u64 = 151;

/// SQL queries of the same reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Precise {
    /// Of everything that is read here, once it is cached.
    pub(super) cached: u64,
    /// Of the contact that was saved, its company's first two pages and statistics.
    pub(super) touched: u64,
    /// Of another contact of the same company.
    pub(super) neighbour: u64,
    /// Of another company: a contact, two pages, the statistics.
    pub(super) other_company: u64,
}

impl Precise {
    /// What there must be.
    pub(super) const EXACTLY: Self = Self { cached: 0, touched: 4, neighbour: 0, other_company: 0 };
}

/// Reads, saves one contact, reads again.
pub(super) async fn save_one(scene: &Arc<Scene>, db: &Db) -> Result<Precise> {
    let mut reader = Reader { scene, visitor: Visitor::connect(scene.address).await?, db };
    // where the cache mixes companies up there may be nothing to save: that is not what there must be, either
    let (Some(page), Some(theirs)) = (reader.first_page(WRITER).await?, reader.first_page(OTHER).await?) else {
        return Ok(Precise::default());
    };
    let ([saved, neighbour, ..], [theirs, ..]) = (&page.contacts[..], &theirs.contacts[..]) else {
        return Ok(Precise::default());
    };
    let theirs = theirs.id;
    reader.whole(WRITER, saved.id).await?;
    reader.contact(WRITER, neighbour.id).await?;
    reader.whole(OTHER, theirs).await?;

    let mut cached = reader.whole(WRITER, saved.id).await?;
    cached += reader.contact(WRITER, neighbour.id).await?;
    cached += reader.whole(OTHER, theirs).await?;

    let Contact { name, city, stage, .. } = saved.clone();
    let draft = Draft { name, email: "saved@mail.example".to_owned(), city, stage };
    let path = format!("/contacts/{}", saved.id);
    let reply = reader.visitor.put(&path, scene.token(WRITER), &draft).await?;
    let Some(written) = scene.expect::<Contact>(&reply) else { return Ok(Precise::default()) };
    scene.witness.acknowledged(written.id, Some(written.version));

    let other_company = reader.whole(OTHER, theirs).await?;
    let neighbour = reader.contact(WRITER, neighbour.id).await?;
    let touched = reader.whole(WRITER, saved.id).await?;
    Ok(Precise { cached, touched, neighbour, other_company })
}

/// Reads, and counts the queries.
struct Reader<'a> {
    scene: &'a Scene,
    visitor: Visitor,
    db: &'a Db,
}

impl Reader<'_> {
    async fn first_page(&mut self, company: u64) -> Result<Option<Page>> {
        self.scene.page(&mut self.visitor, company, 1).await
    }

    async fn queries(&mut self, company: u64, path: &str) -> Result<u64> {
        let before = self.db.queries();
        self.visitor.get(path, self.scene.token(company)).await?;
        Ok(self.db.queries() - before)
    }

    async fn contact(&mut self, company: u64, id: i64) -> Result<u64> {
        self.queries(company, &format!("/contacts/{id}")).await
    }

    /// Reads what one save touches: a contact, two pages, the statistics.
    async fn whole(&mut self, company: u64, id: i64) -> Result<u64> {
        let mut queries = self.contact(company, id).await?;
        for path in ["/contacts?page=1", "/contacts?page=2", "/statistics"] {
            queries += self.queries(company, path).await?;
        }
        Ok(queries)
    }
}
