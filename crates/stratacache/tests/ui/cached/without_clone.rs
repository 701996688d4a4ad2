use stratacache::{Keyspace, Namespace, Policy, cached, minutes};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));

struct Db;

impl Db {
    async fn page(&self, page: u32) -> Result<String, std::io::Error> {
        Ok(page.to_string())
    }

    #[cached(keyspace = PAGES, key = page)]
    async fn cached_page(&self, acme: &Namespace, page: u32) -> Result<String, std::io::Error> {
        self.page(page).await
    }
}

#[cached(keyspace = PAGES, key = page, skip(db))]
async fn page_of(acme: &Namespace, db: &Db, page: u32) -> Result<String, std::io::Error> {
    db.page(page).await
}

fn main() {}
