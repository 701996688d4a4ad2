use stratacache::{Keyspace, Namespace, Policy, cached, minutes};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));

#[cached(keyspace = PAGES, key = page)]
async fn two(acme: &Namespace, globex: &Namespace, page: u32) -> Result<String, std::io::Error> {
    Ok(page.to_string())
}

fn somebody() -> Namespace {
    panic!("nobody calls it")
}

#[cached(keyspace = PAGES, key = page, in = somebody())]
async fn not_the_callers(page: u32) -> Result<String, std::io::Error> {
    Ok(page.to_string())
}

fn main() {}
