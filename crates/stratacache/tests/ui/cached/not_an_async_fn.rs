use stratacache::{Keyspace, Namespace, Policy, cached, minutes};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));

#[cached(keyspace = PAGES, key = page)]
fn page_of(acme: &Namespace, page: u32) -> Result<String, std::io::Error> {
    Ok(page.to_string())
}

#[cached(keyspace = PAGES, key = 1)]
struct Page;

fn main() {}
