use stratacache::{Keyspace, Policy, cached, minutes};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));

#[cached(keyspace = PAGES, key = page)]
async fn page_of(page: u32) -> Result<String, std::io::Error> {
    Ok(page.to_string())
}

fn main() {}
