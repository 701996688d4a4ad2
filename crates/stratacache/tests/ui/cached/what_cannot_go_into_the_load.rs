use stratacache::{Keyspace, Namespace, Policy, cached, minutes};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));

struct Db;

struct Iter<'a>(&'a [u32]);

impl Db {
    #[cached(keyspace = PAGES, key = page)]
    async fn exclusive(&mut self, acme: &Namespace, page: u32) -> Result<String, std::io::Error> {
        Ok(page.to_string())
    }

    #[cached(keyspace = PAGES, key = page)]
    async fn formatted(&self, acme: &Namespace, page: u32) -> Result<String, std::io::Error> {
        Ok(format!("{self} {page}"))
    }
}

#[cached(keyspace = PAGES, key = page, skip(pages, list, first))]
async fn borrowing(
    acme: &Namespace,
    pages: Iter<'_>,
    list: Option<&str>,
    first: &mut u32,
    page: u32,
) -> Result<String, std::io::Error> {
    Ok(format!("{page} {first} {:?} {}", list, pages.0.len()))
}

fn main() {}
