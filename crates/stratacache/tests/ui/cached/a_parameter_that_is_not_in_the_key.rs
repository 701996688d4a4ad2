use stratacache::{Keyspace, Namespace, Policy, cached, minutes};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));

#[cached(keyspace = PAGES, key = page, skip(pool))]
async fn page_of(acme: &Namespace, filter: String, page: u32) -> Result<String, std::io::Error> {
    Ok(format!("{filter} {page}"))
}

fn main() {}
