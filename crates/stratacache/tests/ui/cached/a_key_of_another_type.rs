use stratacache::{Keyspace, Namespace, Policy, cached, minutes};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));

#[cached(keyspace = PAGES, key = name)]
async fn page_of(acme: &Namespace, name: String) -> Result<String, std::io::Error> {
    Ok(name)
}

#[cached(keyspace = PAGES, key = page)]
async fn length_of(acme: &Namespace, page: u32) -> Result<usize, std::io::Error> {
    Ok(page as usize)
}

fn main() {}
