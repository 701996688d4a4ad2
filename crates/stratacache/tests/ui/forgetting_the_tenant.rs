use stratacache::Cache;

async fn read(cache: Cache) {
    let _ = cache.get::<String>("key").await;
}

fn main() {}
