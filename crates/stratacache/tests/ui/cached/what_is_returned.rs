use stratacache::{Keyspace, Namespace, Policy, cached, minutes};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));

#[cached(keyspace = PAGES, key = page)]
async fn nothing(acme: &Namespace, page: u32) {}

#[cached(keyspace = PAGES, key = page)]
async fn no_result(acme: &Namespace, page: u32) -> String {
    page.to_string()
}

#[cached(keyspace = PAGES, key = page)]
async fn hidden(acme: &Namespace, page: u32) -> Result<impl ToString, std::io::Error> {
    Ok(page)
}

#[cached(keyspace = PAGES, key = page)]
async fn borrowed<'a>(acme: &'a Namespace, page: u32) -> Result<&'a str, std::io::Error> {
    Ok("page")
}

#[cached(keyspace = PAGES, key = page, optional)]
async fn never_absent(acme: &Namespace, page: u32) -> Result<String, std::io::Error> {
    Ok(page.to_string())
}

#[cached(keyspace = PAGES, key = page)]
async fn of_an_alias(acme: &Namespace, page: u32) -> std::fmt::Result {
    Ok(())
}

fn main() {}
