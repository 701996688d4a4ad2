//! `#[cached]`: as `get_or_load`, with the parameters as the key.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // tests start tasks of their own, and may panic

mod support;

use std::{convert::Infallible, fmt, io, sync::Arc};

use stratacache::{
    Cached, Freshness, KeyPart, Keyspace, LoadError, Namespace, Policy, cached, hours, millis, minutes, seconds,
};
use support::{Loads, cache, settle, tenant};
use tokio::time::{sleep, timeout};

const PAGES: Keyspace<u32, String> = Keyspace::new("pages", Policy::ttl(minutes(5)));
const NAMED: Keyspace<str, usize> = Keyspace::new("named", Policy::ttl(minutes(5)));
const LISTS: Keyspace<(u32, Filter), String> = Keyspace::new("lists", Policy::ttl(minutes(5)));
const ROWS: Keyspace<u32, String> = Keyspace::new("rows", Policy::ttl(minutes(5)).negative_ttl(minutes(1)));

#[derive(Debug, Clone, PartialEq, Eq, KeyPart)]
struct Filter {
    company: Option<u32>,
    text: String,
}

#[derive(Debug)]
struct Broken(&'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Broken {}

/// A source: counts what it is asked, and is not `Clone` for nothing.
#[derive(Clone, Default)]
struct Db {
    loads: Loads,
}

impl Db {
    async fn page(&self, page: u32) -> Result<String, Broken> {
        Ok(format!("page {page}, load {}", self.loads.next()))
    }
}

#[cached(keyspace = PAGES, key = page, tags = ["pages", ("page", page)], skip(db))]
async fn page_of(acme: &Namespace, db: &Db, page: u32) -> Result<String, Broken> {
    db.page(page).await
}

#[tokio::test(start_paused = true)]
async fn a_cached_function_loads_once_for_each_key_and_tenant() {
    let cache = cache().await;
    let (acme, globex, db) = (tenant(&cache, "acme"), tenant(&cache, "globex"), Db::default());
    let first: Cached<String> = page_of(&acme, &db, 1).await.unwrap();
    assert_eq!((&**first, first.freshness()), ("page 1, load 1", Freshness::Loaded));
    let again = page_of(&acme, &db, 1).await.unwrap();
    assert_eq!((&**again, again.freshness()), ("page 1, load 1", Freshness::Fresh));
    assert_eq!(**page_of(&acme, &db, 2).await.unwrap(), *"page 2, load 2");
    assert_eq!(**page_of(&globex, &db, 1).await.unwrap(), *"page 1, load 3", "another tenant shares nothing");
    assert_eq!(**acme.get(PAGES.key(&1)).await.unwrap(), *"page 1, load 1", "it is an entry as any other");
}

#[tokio::test(start_paused = true)]
async fn the_tags_of_a_cached_function_forget_what_they_name_in_one_tenant_only() {
    let cache = cache().await;
    let (acme, globex, db) = (tenant(&cache, "acme"), tenant(&cache, "globex"), Db::default());
    for (ns, page) in [(&acme, 1), (&acme, 2), (&globex, 1)] {
        page_of(ns, &db, page).await.unwrap();
    }
    acme.invalidate_tag(("page", 1)).await.unwrap();
    assert_eq!(**page_of(&acme, &db, 1).await.unwrap(), *"page 1, load 4");
    assert_eq!(**page_of(&acme, &db, 2).await.unwrap(), *"page 2, load 2");
    acme.invalidate_tag("pages").await.unwrap();
    assert_eq!(**page_of(&acme, &db, 2).await.unwrap(), *"page 2, load 5");
    assert_eq!(**page_of(&globex, &db, 1).await.unwrap(), *"page 1, load 3");
}

#[cached(keyspace = LISTS, key = (page, filter), tags = [("company", filter.company)], skip(loads))]
async fn list(acme: &Namespace, loads: &Loads, page: u32, filter: Filter) -> Result<String, Infallible> {
    let Filter { company, text } = filter; // the body owns its parameters
    Ok(format!("{page} {company:?} {text} {}", loads.next()))
}

#[tokio::test(start_paused = true)]
async fn two_filters_and_two_pages_never_share_an_entry() {
    let cache = cache().await;
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    let filter = |company, text: &str| Filter { company, text: text.to_owned() };
    let all = [
        (1, filter(None, "")),
        (2, filter(None, "")),
        (1, filter(Some(1), "")),
        (1, filter(Some(0), "")),
        (1, filter(None, "a")),
        (1, filter(Some(1), "a")),
    ];
    for round in 0..2 {
        for (n, (page, filter)) in all.iter().enumerate() {
            let found = list(&acme, &loads, *page, filter.clone()).await.unwrap();
            assert!(found.ends_with(&format!(" {}", n + 1)), "round {round}: {found:?}");
        }
    }
    acme.invalidate_tag(("company", Some(1))).await.unwrap();
    list(&acme, &loads, 1, filter(None, "a")).await.unwrap();
    assert_eq!(loads.count(), all.len(), "of another company");
    list(&acme, &loads, 1, filter(Some(1), "a")).await.unwrap();
    assert_eq!(loads.count(), all.len() + 1);
}

#[cached(keyspace = NAMED, key = name, skip(loads))]
async fn length_of(acme: &Namespace, loads: Loads, name: &str) -> Result<usize, Broken> {
    loads.next();
    sleep(millis(50)).await;
    match name {
        "broken" => Err(Broken("no such name")),
        "bug" => panic!("bug in {name}"),
        name => Ok(name.len()),
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_of_the_body_comes_back_as_it_is_and_one_for_all() {
    let cache = cache().await;
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let (acme, loads) = (acme.clone(), loads.clone());
            tokio::spawn(async move { length_of(&acme, loads, "broken").await })
        })
        .collect();
    let mut errors: Vec<Arc<Broken>> = Vec::new();
    for caller in callers {
        match caller.await.unwrap() {
            Err(LoadError::Loader(error)) => errors.push(error),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(errors[0].0, "no such name");
    assert!(errors.iter().all(|error| Arc::ptr_eq(error, &errors[0])), "one error object for all");
    assert_eq!(loads.count(), 1);
    assert!(length_of(&acme, loads.clone(), "broken").await.is_err());
    assert_eq!(loads.count(), 2, "a failure is not kept");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_body_is_an_error_and_the_key_is_usable_at_once() {
    let cache = cache().await;
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    match length_of(&acme, loads.clone(), "bug").await {
        Err(LoadError::Panicked(message)) => assert_eq!(&*message, "bug in bug"),
        other => panic!("{other:?}"),
    }
    assert_eq!(*length_of(&acme, loads, "fine").await.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_end_the_load() {
    let cache = cache().await;
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    {
        let name = "borrowed".to_owned(); // gone long before the load ends
        assert!(timeout(millis(10), length_of(&acme, loads.clone(), &name)).await.is_err());
    }
    sleep(seconds(1)).await;
    let found = length_of(&acme, loads.clone(), "borrowed").await.unwrap();
    assert_eq!((*found, found.freshness()), (8, Freshness::Fresh));
    assert_eq!(loads.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_during_the_body_wins() {
    let cache = cache().await;
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    let caller = tokio::spawn({
        let (acme, loads) = (acme.clone(), loads.clone());
        async move { length_of(&acme, loads, "key").await.map(|found| *found) }
    });
    settle().await;
    assert_eq!(loads.count(), 1, "the load is under way");
    acme.invalidate(NAMED.key("key")).await.unwrap();
    assert_eq!(caller.await.unwrap().unwrap(), 3);
    length_of(&acme, loads.clone(), "key").await.unwrap();
    assert_eq!(loads.count(), 2);
}

#[cached(keyspace = ROWS, key = id, optional, skip(loads))]
async fn row(acme: &Namespace, loads: &Loads, id: u32) -> Result<Option<String>, io::Error> {
    loads.next();
    if id == 0 {
        return Ok(None);
    }
    let text = std::str::from_utf8(b"row").map_err(io::Error::other)?;
    Ok(Some(format!("{text} {id}")))
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_remembered_with_optional() {
    let cache = cache().await;
    let (acme, loads) = (tenant(&cache, "acme"), Loads::default());
    for _ in 0..3 {
        assert!(row(&acme, &loads, 0).await.unwrap().is_none());
        assert_eq!(**row(&acme, &loads, 7).await.unwrap().unwrap(), *"row 7");
    }
    assert_eq!(loads.count(), 2);
    tokio::time::advance(seconds(61)).await;
    assert!(row(&acme, &loads, 0).await.unwrap().is_none());
    assert_eq!(loads.count(), 3, "for the negative_ttl");
}

/// Contacts of one tenant.
#[derive(Clone)]
struct Contacts<D> {
    acme: Namespace,
    db: D,
}

trait Source: Clone + Send + Sync + 'static {
    fn fetch(&self, id: u32) -> impl Future<Output = io::Result<String>> + Send;
}

impl Source for Db {
    async fn fetch(&self, id: u32) -> io::Result<String> {
        Ok(format!("{id}/{}", self.loads.next()))
    }
}

impl<D: Source> Contacts<D> {
    /// Returns a contact by way of a field that is the namespace, and an alias of `Result`.
    #[cached(in = self.acme, keyspace = PAGES, key = id, ttl = Self::life(id))]
    async fn by_field(&self, id: u32) -> io::Result<String> {
        let found = self.db.fetch(id).await?;
        Ok(format!("{found} {}", [self.suffix(), "!"].concat()))
    }

    #[cached(keyspace = PAGES, key = id, policy = Policy::ttl(hours(1)))]
    pub(crate) async fn by_arc(self: Arc<Self>, acme: &Namespace, id: u32) -> Result<String, io::Error> {
        self.db.fetch(id).await
    }

    #[cached(keyspace = PAGES, key = id)]
    async fn by_borrowed_arc(self: &Arc<Self>, id: u32, acme: Namespace) -> Result<String, io::Error> {
        assert!(acme.tenant().is_some(), "the body may use the namespace");
        self.db.fetch(id).await
    }

    fn life(id: u32) -> std::time::Duration {
        seconds(u64::from(id))
    }

    fn suffix(&self) -> &'static str {
        "?"
    }
}

#[tokio::test(start_paused = true)]
async fn methods_are_cached_with_a_clone_of_self() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let contacts = Contacts { acme: acme.clone(), db: Db::default() };
    assert_eq!(**contacts.by_field(7).await.unwrap(), *"7/1 ?!");
    assert_eq!(**contacts.by_field(7).await.unwrap(), *"7/1 ?!");
    let shared = Arc::new(contacts);
    assert_eq!(**Arc::clone(&shared).by_arc(&acme, 8).await.unwrap(), *"8/2");
    assert_eq!(**shared.by_borrowed_arc(8, acme.clone()).await.unwrap(), *"8/2", "the same keyspace and key");
    assert_eq!(**shared.by_borrowed_arc(9, acme).await.unwrap(), *"9/3");
}

#[tokio::test(start_paused = true)]
async fn ttl_and_policy_of_the_attribute_win_over_the_keyspace() {
    let cache = support::builder().seed(7).build().await.unwrap();
    let acme = tenant(&cache, "acme");
    let contacts = Contacts { acme: acme.clone(), db: Db::default() };
    let left = contacts.by_field(7).await.unwrap().fresh_for();
    assert!(left <= seconds(7), "{left:?}");
    let left = Arc::new(contacts).by_arc(&acme, 9).await.unwrap().fresh_for();
    assert!(left > minutes(5), "{left:?}");
}

mod shapes {
    //! What the macro must keep: visibility, attributes, generics, patterns, lifetimes.
    #![deny(missing_docs, unused)]

    use super::*;

    /// Is documented, hidden, generic, and takes its parameters apart.
    #[cached(keyspace = PAGES, key = page, tags = tags, in = acme, skip(host, show, tags, values), crate = stratacache)]
    #[allow(clippy::too_many_arguments)]
    #[doc(hidden)]
    pub(super) async fn everything<'a, T, const N: usize>(
        Door(acme, host): Door<'static>,
        _unused: &'a str,
        mut page: u32,
        show: &(impl Fn(T) -> String + Clone + Send + Sync + 'static),
        (tags, _): (Vec<String>, ()),
        values: [T; N],
    ) -> Result<String, LoadError<Broken>>
    where
        T: Clone + Send + Sync + 'static,
    {
        // the key was made before
        page += 1;
        drop(tags);
        Ok(format!("{host} {page} {}", show(values[0].clone())))
    }

    pub(super) struct Door<'a>(pub(super) Namespace, pub(super) &'a str);
}

#[tokio::test(start_paused = true)]
async fn generics_patterns_and_attributes_stay_on_the_function() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    let call = |page| {
        let door = shapes::Door(acme.clone(), "host");
        async move {
            let unused = String::new();
            shapes::everything(
                door,
                &unused,
                page,
                &|n: u8| n.to_string(),
                (vec!["a".into(), "b".into()], ()),
                [7_u8; 3],
            )
            .await
            .map(|found| found.to_string())
        }
    };
    assert_eq!(call(1).await.unwrap(), "host 2 7");
    assert_eq!(**acme.get(PAGES.key(&1)).await.unwrap(), *"host 2 7");
    acme.invalidate_tag("b").await.unwrap();
    assert!(acme.get(PAGES.key(&1)).await.is_none());
}

#[cached(keyspace = PAGES, key = depth)]
async fn nested(acme: &Namespace, depth: u32) -> Result<String, LoadError<Broken>> {
    let inner = page_of(acme, &Db::default(), depth + 1).await?;
    Ok(format!("{depth} over {}", *inner))
}

#[tokio::test(start_paused = true)]
async fn a_cached_function_may_call_another_one() {
    let cache = cache().await;
    let acme = tenant(&cache, "acme");
    assert_eq!(**nested(&acme, 1).await.unwrap(), *"1 over page 2, load 1");
    assert!(acme.get(PAGES.key(&2)).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn its_error_goes_through_the_question_mark() {
    async fn caller(acme: &Namespace) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
        Ok(*length_of(acme, Loads::default(), "broken").await?)
    }
    let cache = cache().await;
    let error = caller(&tenant(&cache, "acme")).await.unwrap_err();
    assert_eq!(error.to_string(), "the loader failed: no such name");
    async fn with_anyhow(acme: &Namespace) -> anyhow::Result<usize> {
        Ok(*length_of(acme, Loads::default(), "three").await?)
    }
    assert_eq!(with_anyhow(&tenant(&cache, "acme")).await.unwrap(), 5);
}
