//! The data that everything else stands on.

use stratacache::resource::{PageSource, QuerySource, Source, WritableSource};

use super::*;

async fn open(dir: &tempfile::TempDir) -> Db {
    Db::open(&dir.path().join("crm.db")).await.expect("a data base")
}

#[tokio::test]
async fn the_first_start_makes_the_companies_and_a_second_one_finds_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let rows = open(&dir).await.of(&company(7));
    let mut ids = Vec::new();
    for number in 1..=pages_of(7) + 1 {
        let page = rows.page(&number).await.expect("a page");
        assert!(page.contacts.iter().all(|contact| contact.tenant == "company-007"));
        ids.extend(page.contacts.iter().map(|contact| contact.id));
    }
    ids.sort_unstable();
    assert!(ids.iter().copied().eq(contacts_of(7)), "each contact is on one page");
    let all: usize = (0..COMPANIES).map(|n| contacts_of(n).count()).sum();
    assert!((95_000..105_000).contains(&all), "{all}");

    let (statistics, first) = (rows.query(&()).await.expect("totals"), ids[0]);
    assert_eq!(statistics.stages.iter().map(|stage| stage.contacts).sum::<i64>(), ids.len() as i64);
    let draft = Draft { name: "A".into(), email: "a@b".into(), city: "C".into(), stage: "lead".into() };
    let _ = rows.save((Some(first), draft)).await.expect("an update");
    drop(rows);
    let again = open(&dir).await;
    assert_eq!(again.of(&company(7)).one(&first).await.expect("a read").expect("a contact").version, 2);
    assert!(again.of(&company(8)).one(&first).await.expect("a read").is_none(), "of another company");
    assert_eq!((again.queries(), again.slow_queries()), (2, 0));
}

#[tokio::test]
async fn the_readme_shows_the_query_and_the_plan_of_the_slow_aggregate() {
    let dir = tempfile::tempdir().expect("a folder");
    open(&dir).await;
    let connection = pool::connect(&dir.path().join("crm.db"), pool::Access::Read).expect("a connection");
    let explain = format!("EXPLAIN QUERY PLAN {}", queries::STATISTICS);
    let mut statement = connection.prepare(&explain).expect("SQL");
    let step = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(3)?));
    let steps: Vec<(i64, i64, String)> =
        statement.query_map(("company-007",), step).expect("a plan").collect::<Result<_, _>>().expect("steps");
    let mut depths = std::collections::HashMap::from([(0, 0)]);
    let mut plan = String::new();
    for (id, parent, what) in steps {
        let depth = depths[&parent];
        depths.insert(id, depth + 1);
        plan.push_str(&format!("{}{what}\n", "  ".repeat(depth)));
    }
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&plan), "the README does not show this plan:\n{plan}");
    assert!(readme.contains(queries::STATISTICS.trim()), "the README shows another query");
}
