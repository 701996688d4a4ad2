//! The server, until somebody stops it.
#![allow(clippy::print_stdout, reason = "says what to try")]

use std::{
    env::{self, VarError},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::sync::oneshot;

use crate::{
    db::{Db, company},
    server::{App, Below, Keys, Running, routes},
};

const MEMORY: u64 = 64 << 20;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the first line begins with; the address follows.
pub(crate) const SERVING_ON: &str = "Serving on http://";
/// The keys that several nodes share. In the environment: everybody on the machine can read the arguments of a program.
pub(crate) const KEYS: &str = "CRM_KEYS";

/// Says when to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Ctrl-C only.
    CtrlC,
    /// The end of the standard input, too: a program that starts a server and dies takes it along.
    InputEnds,
}

/// Serves until it is stopped.
pub(crate) async fn run(folder: &Path, port: u16, below: &Below, until: Until) -> Result<()> {
    let db = Db::open(&folder.join("crm.db")).await?;
    let keys = Arc::new(keys()?);
    let app = App::new(db.clone(), Arc::clone(&keys), MEMORY, below).await?;
    let server = Running::start(routes(app.clone()), port).await?;
    greet(&server, &keys);
    match until {
        Until::CtrlC => tokio::signal::ctrl_c().await?,
        Until::InputEnds => tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = end_of_input() => {}
        },
    }
    server.stop().await?;
    close(&app).await?;
    println!("{} SQL queries ran; {}", db.queries(), app.cache.stats());
    Ok(())
}

/// Closes the application. While Redis is away that waits for it: the last writes must be forgotten by all nodes.
async fn close(app: &App) -> Result<()> {
    let mut closing = std::pin::pin!(app.close());
    tokio::select! {
        closed = &mut closing => return Ok(closed?),
        () = tokio::time::sleep(Duration::from_secs(1)) => {}
    }
    println!("Waiting until every node has forgotten what the last writes changed; Ctrl-C once more gives that up.");
    tokio::select! {
        closed = closing => Ok(closed?),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("given up: until their time to live ends, caches may serve what was there before the last writes")
        }
    }
}

fn keys() -> Result<Keys> {
    match env::var(KEYS) {
        Ok(text) => Keys::from_text(&text).with_context(|| format!("{KEYS} wants 96 hexadecimal digits")),
        Err(VarError::NotPresent) => Ok(Keys::generate()?),
        Err(error) => Err(error).context(KEYS),
    }
}

/// Returns when nobody holds the other end of the standard input any more.
async fn end_of_input() {
    let (ended, end) = oneshot::channel::<()>();
    // a thread, since a read that blocks cannot be cancelled; the process does not wait for it
    std::thread::spawn(move || {
        // an error is an end as well
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(ended);
    });
    drop(end.await);
}

fn greet(server: &Running, keys: &Keys) {
    let (company, address) = (company(7), server.address);
    let token = keys.token(&company, DAY);
    println!("{SERVING_ON}{address} until Ctrl-C. To try it:\n");
    println!("TOKEN={token}\nADMIN={}", keys.admin_token());
    for path in ["contacts?page=1", "statistics", "dashboard"] {
        println!("curl -H \"Authorization: Bearer $TOKEN\" 'http://{address}/{path}'");
    }
    let draft = r#"{"name":"Ada Berg","email":"ada@mail.example","city":"Lyon","stage":"lead"}"#;
    println!(
        "curl -i -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{draft}' \
         'http://{address}/contacts'"
    );
    println!("curl -H \"Authorization: Bearer $ADMIN\" 'http://{address}/admin/cache-stats/{company}'");
    println!("curl -H \"Authorization: Bearer $ADMIN\" 'http://{address}/admin/node'");
}
