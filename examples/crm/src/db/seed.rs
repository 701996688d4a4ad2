//! The companies of the first start: always the same ones.

use std::ops::Range;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use stratacache::TenantId;

use super::{DbError, Page, queries};

/// How many companies use the CRM.
pub(crate) const COMPANIES: u64 = 200;
const SEED: u64 = 2026;
/// Written into the file when it is complete.
const VERSION: i64 = 1;

const FIRST: [&str; 12] =
    ["Ada", "Bela", "Chidi", "Dana", "Emre", "Farah", "Goran", "Hana", "Ivo", "Jun", "Keiko", "Lena"];
const LAST: [&str; 12] = [
    "Almeida", "Berg", "Castro", "Dubois", "Eriksen", "Fischer", "Garcia", "Hansen", "Ito", "Jansen", "Kovacs", "Lopez",
];
const CITIES: [&str; 8] = ["Lisbon", "Bergen", "Nairobi", "Lyon", "Osaka", "Quito", "Ghent", "Cork"];
const STAGES: [&str; 5] = ["lead", "qualified", "proposal", "customer", "lost"];
const KINDS: [&str; 4] = ["call", "visit", "mail", "demo"];

/// Returns the tenant of the n-th company, from 0.
pub(crate) fn company(n: u64) -> TenantId {
    match TenantId::parse(format!("company-{n:03}")) {
        Ok(id) => id,
        Err(error) => unreachable!("a legal id by construction: {error}"),
    }
}

/// 300 to 700 contacts, about 100,000 in all.
fn size(n: u64) -> i64 {
    300 + (n * 7919 % 401) as i64
}

/// Returns the ids of the contacts that the n-th company has at the first start.
pub(crate) fn contacts_of(n: u64) -> Range<i64> {
    let first = 1 + (0..n).map(size).sum::<i64>();
    first..first + size(n)
}

/// Returns how many full pages the n-th company has at the first start.
pub(crate) fn pages_of(n: u64) -> u32 {
    u32::try_from(size(n)).unwrap_or(u32::MAX) / Page::SIZE
}

/// Makes the tables and fills them in one transaction, unless that was done before.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), DbError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match transaction.pragma_query_value(None, "user_version", |row| row.get(0))? {
        VERSION => return Ok(()),
        0 => {}
        user_version => return Err(DbError::Foreign { user_version }),
    }
    transaction.execute_batch(queries::SCHEMA)?;
    fill(&transaction)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    connection.execute_batch("ANALYZE")?;
    Ok(())
}

fn fill(transaction: &Transaction<'_>) -> Result<(), DbError> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut contact =
        transaction.prepare("INSERT INTO contacts (id, tenant, name, email, city, stage) VALUES (?, ?, ?, ?, ?, ?)")?;
    for n in 0..COMPANIES {
        let tenant = company(n);
        for id in contacts_of(n) {
            let (first, last) = (pick(&mut random, &FIRST), pick(&mut random, &LAST));
            let email = format!("{}.{}{id}@{tenant}.example", first.to_lowercase(), last.to_lowercase());
            let (city, stage) = (pick(&mut random, &CITIES), pick(&mut random, &STAGES));
            contact.execute(params![id, tenant.as_str(), format!("{first} {last}"), email, city, stage])?;
        }
    }
    // logs are written as things happen: every company's in between those of the others
    let last = contacts_of(COMPANIES - 1).end;
    let mut activity =
        transaction.prepare("INSERT INTO activities (contact, kind, minutes, day) VALUES (?, ?, ?, ?)")?;
    let mut deal = transaction.prepare("INSERT INTO deals (contact, cents, won) VALUES (?, ?, ?)")?;
    for n in 0..last {
        let who = random.random_range(1..last);
        let kind = pick(&mut random, &KINDS);
        activity.execute(params![who, kind, random.random_range(5..90), n / 1000])?;
        if n % 3 == 0 {
            deal.execute(params![who, random.random_range(10_000..900_000), random.random_bool(0.4)])?;
        }
    }
    Ok(())
}

fn pick<'a>(random: &mut StdRng, words: &[&'a str]) -> &'a str {
    words[random.random_range(0..words.len())]
}
