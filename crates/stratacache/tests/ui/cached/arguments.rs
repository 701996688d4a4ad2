use stratacache::{Keyspace, Namespace, Policy, cached, minutes};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));

#[cached]
async fn bare(acme: &Namespace, page: u32) -> Result<String, std::io::Error> {
    Ok(page.to_string())
}

#[cached(keyspce = PAGES, key = page)]
async fn misspelt(acme: &Namespace, page: u32) -> Result<String, std::io::Error> {
    Ok(page.to_string())
}

#[cached(keyspace = PAGES, key = page, ttl = "5m")]
async fn text(acme: &Namespace, page: u32) -> Result<String, std::io::Error> {
    Ok(page.to_string())
}

#[cached(keyspace = PAGES, key = page, retry = 3)]
async fn number(acme: &Namespace, page: u32) -> Result<String, std::io::Error> {
    Ok(page.to_string())
}

#[cached(keyspace = PAGES, key = page, retry = minutes(3))]
async fn another_type(acme: &Namespace, page: u32) -> Result<String, std::io::Error> {
    Ok(page.to_string())
}

fn main() {}
