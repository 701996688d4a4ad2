//! The server, until somebody stops it.
#![allow(clippy::print_stdout, reason = "says what to try")]

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Result;

use crate::{
    db::{Db, company},
    server::{App, Keys, Running, routes},
};

const MEMORY: u64 = 64 << 20;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Serves until Ctrl-C.
pub(crate) async fn run(folder: &Path, port: u16) -> Result<()> {
    let db = Db::open(&folder.join("crm.db")).await?;
    let keys = Arc::new(Keys::generate()?);
    let app = App::new(db.clone(), Arc::clone(&keys), MEMORY, &folder.join("cache")).await?;
    let server = Running::start(routes(app.clone()), port).await?;
    greet(&server, &keys);
    tokio::signal::ctrl_c().await?;
    server.stop().await?;
    app.close().await?;
    println!("{} SQL queries ran; {}", db.queries(), app.cache.stats());
    Ok(())
}

fn greet(server: &Running, keys: &Keys) {
    let (company, address) = (company(7), server.address);
    let token = keys.token(&company, DAY);
    println!("Serving on http://{address} until Ctrl-C. To try it:\n");
    println!("TOKEN={token}\nADMIN={}", keys.admin_token());
    for path in ["contacts?page=1", "statistics", "dashboard"] {
        println!("curl -H \"Authorization: Bearer $TOKEN\" 'http://{address}/{path}'");
    }
    let draft = r#"{"name":"Ada Berg","email":"ada@mail.example","city":"Lyon","stage":"lead"}"#;
    println!(
        "curl -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{draft}' \
         'http://{address}/contacts'"
    );
    println!("curl -H \"Authorization: Bearer $ADMIN\" 'http://{address}/admin/cache-stats/{company}'");
}
