//! What belongs to a user: settings, sessions and searches in nested namespaces, a name on pages of others, and one call that
//! forgets all of it.
//!
//! ```text
//! cargo run -p per_user
//! ```
//!
//! Every line it prints is checked; it exits 0 only if all of them hold. `docs/guide/tenants.md` and `docs/guide/tags.md` say more.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for people

mod database;

use std::{error::Error, path::Path, process::ExitCode, sync::Arc};

use database::{Database, Gate};
use stratacache::{Cache, Cached, Disk, Keyspace, LoadError, Namespace, Policy, TenantId, hours, minutes, seconds};

type Outcome = Result<(), Box<dyn Error>>;
type Found = Result<Option<Cached<String>>, LoadError<std::io::Error>>;

const SETTING: Keyspace<str, String> = Keyspace::new("setting", Policy::ttl(hours(1)));
const SESSION: Keyspace<u32, String> = Keyspace::new("session", Policy::ttl(hours(12)).idle_ttl(minutes(30)));
const SEARCHES: Keyspace<(), String> = Keyspace::new("searches", Policy::ttl(hours(1)));
const TEAM_PAGE: Keyspace<str, String> = Keyspace::new("team-page", Policy::ttl(minutes(5)));

/// What is on everything that is about a user, wherever it lies.
const fn about(id: u32) -> (&'static str, u32) {
    ("user", id)
}

/// The door to one user's data: a namespace, and a tag on all that comes through it and through the doors nested in it.
fn user(tenant: &Namespace, id: u32) -> Namespace {
    tenant.namespace(("user", id)).with_tag(about(id))
}

async fn setting(tenant: &Namespace, db: &Database, id: u32, name: &'static str) -> Found {
    let load = db.clone().row(tenant.clone(), id, name);
    user(tenant, id).namespace("settings").get_or_load_optional(SETTING.key(name), move || load).await
}

async fn session(tenant: &Namespace, db: &Database, id: u32) -> Found {
    let load = db.clone().row(tenant.clone(), id, "session");
    user(tenant, id).namespace("sessions").get_or_load_optional(SESSION.key(&1), move || load).await
}

async fn searches(tenant: &Namespace, db: &Database, id: u32) -> Found {
    let load = db.clone().row(tenant.clone(), id, "searches");
    user(tenant, id).get_or_load_optional(SEARCHES.key(&()), move || load).await
}

/// A page of the company, not of the user; but it shows a name.
async fn team_page(tenant: &Namespace, db: &Database, leader: u32) -> Found {
    let load = db.clone().row(tenant.clone(), leader, "name");
    let page = tenant.namespace(("team", leader));
    page.get_or_load_optional(TEAM_PAGE.key("front"), move || load).tag("teams").tag(about(leader)).await
}

/// Reads all that is cached about a user; returns what there is, and how many queries it took.
async fn all(tenant: &Namespace, db: &Database, id: u32) -> Result<(Vec<String>, u64), Box<dyn Error>> {
    let before = db.queries();
    let found = [
        setting(tenant, db, id, "theme").await?,
        setting(tenant, db, id, "language").await?,
        session(tenant, db, id).await?,
        searches(tenant, db, id).await?,
        team_page(tenant, db, id).await?,
    ];
    Ok((found.into_iter().flatten().map(|value| value.to_string()).collect(), db.queries() - before))
}

/// Looks for what is there about a user without asking the data base.
async fn left(tenant: &Namespace, id: u32) -> usize {
    let user = user(tenant, id);
    let (settings, sessions) = (user.namespace("settings"), user.namespace("sessions"));
    let found = [
        settings.get(SETTING.key("theme")).await,
        settings.get(SETTING.key("language")).await,
        sessions.get(SESSION.key(&1)).await,
        user.get(SEARCHES.key(&())).await,
        tenant.namespace(("team", id)).get(TEAM_PAGE.key("front")).await,
    ];
    found.iter().flatten().count()
}

fn check(promise: &str, held: bool) -> Result<(), String> {
    println!("{} {promise}", if held { "ok  " } else { "FAIL" });
    if held { Ok(()) } else { Err(format!("this did not hold: {promise}")) }
}

struct Companies {
    cache: Cache,
    acme: Namespace,
    globex: Namespace,
}

impl Companies {
    async fn open(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let disk = Disk::builder(folder).capacity(64 << 20).open().await?;
        // patient, since this runs on busy machines, too
        let cache = Cache::builder().memory(16 << 20).tier(disk).tier_deadline("disk", seconds(5)).build().await?;
        let tenant = |name| TenantId::parse(name).map(|id| cache.tenant(&id));
        Ok(Self { acme: tenant("acme")?, globex: tenant("globex")?, cache })
    }

    /// Everybody besides user 42 of acme: one whose number begins alike, and the 42 of another company.
    fn others(&self) -> [(&Namespace, u32); 2] {
        [(&self.acme, 421), (&self.globex, 42)]
    }

    /// Counts the queries that it takes to read all about the others.
    async fn queries_of_others(&self, db: &Database) -> Result<u64, Box<dyn Error>> {
        let mut queries = 0;
        for (tenant, id) in self.others() {
            queries += all(tenant, db, id).await?.1;
        }
        Ok(queries)
    }
}

fn fill(companies: &Companies, db: &Database) {
    for (tenant, id) in companies.others().into_iter().chain([(&companies.acme, 42)]) {
        let rows = [("theme", "dark"), ("language", "en"), ("session", "laptop"), ("searches", "tea"), ("name", "Ada")];
        for (what, value) in rows {
            db.write(tenant, id, what, value);
        }
    }
}

async fn clearing(companies: &Companies, db: &Database) -> Outcome {
    let acme = &companies.acme;
    companies.queries_of_others(db).await?;
    check("what is about a user is read once", all(acme, db, 42).await?.1 == 5 && all(acme, db, 42).await?.1 == 0)?;

    user(acme, 42).namespace("settings").clear().await?;
    check("`clear` of a nested namespace forgets what is in it", all(acme, db, 42).await?.1 == 2)?;
    user(acme, 42).clear().await?;
    check("`clear` of the user's, what is in it and below", all(acme, db, 42).await?.1 == 4)?;
    let page = team_page(acme, db, 42).await?;
    check("but not the page that shows the name: that lies elsewhere", page.is_some_and(|page| !page.is_stale()))?;
    Ok(())
}

async fn one_call(companies: &Companies, db: &Database) -> Outcome {
    let acme = &companies.acme;
    db.write(acme, 42, "name", "Ada Berg"); // and commit; then
    acme.invalidate_tag(about(42)).await?;
    let (found, queries) = all(acme, db, 42).await?;
    check("one call with the tag forgets all of it, the page as well", queries == 5)?;
    check("which shows the new name", found.last().is_some_and(|name| name == "Ada Berg"))?;
    check("a user whose number begins alike keeps all, and so does another company's 42", {
        companies.queries_of_others(db).await? == 0
    })?;
    user(acme, 42).namespace("settings").invalidate_tag(about(42)).await?;
    check("it does not matter through which door it is called", all(acme, db, 42).await?.1 == 5)?;
    Ok(())
}

/// Erases the user while an answer of the data base about that user is on its way.
async fn erasing(companies: &Companies, db: &Database) -> Outcome {
    let acme = &companies.acme;
    user(acme, 42).clear().await?;
    let gate = Gate::closed();
    let late = db.clone().row_slowly(acme.clone(), 42, "theme", Arc::clone(&gate));
    let door = user(acme, 42).namespace("settings");
    let reading = door.get_or_load_optional(SETTING.key("theme"), move || late);
    let erase = async {
        drop(gate.asked.acquire().await?);
        db.erase(acme, 42); // and commit; then
        acme.invalidate_tag(about(42)).await?;
        gate.open.add_permits(1);
        Ok::<_, Box<dyn Error>>(())
    };
    let (read, erased) = tokio::join!(reading.into_future(), erase);
    erased?;
    check("who had asked before is answered", read?.is_some())?;
    check("but nothing of an answer that was on its way is kept", left(acme, 42).await == 0)?;
    check("the others keep theirs", companies.queries_of_others(db).await? == 0)?;
    Ok(())
}

async fn restart(folder: &Path, db: &Database) -> Outcome {
    let companies = Companies::open(folder).await?;
    check("after a restart nothing of the user comes back from the disk", left(&companies.acme, 42).await == 0)?;
    let (found, _) = all(&companies.acme, db, 42).await?;
    check("nor from anywhere else", found.is_empty())?;
    check("what the others had is there", companies.queries_of_others(db).await? == 0)?;
    println!("\n{}", companies.cache.stats());
    companies.cache.close().await?;
    Ok(())
}

async fn tour(folder: &Path) -> Outcome {
    let db = Database::default();
    let companies = Companies::open(folder).await?;
    fill(&companies, &db);
    clearing(&companies, &db).await?;
    one_call(&companies, &db).await?;
    erasing(&companies, &db).await?;
    companies.cache.close().await?;
    drop(companies); // the directory of the disk is free
    restart(folder, &db).await
}

#[tokio::main]
async fn main() -> ExitCode {
    let shown = match tempfile::tempdir() {
        Ok(folder) => tour(&folder.path().join("disk")).await,
        Err(error) => Err(error.into()),
    };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
