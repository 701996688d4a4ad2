//! Every result is found by the whole of its arguments.

use std::collections::HashMap;

use proptest::prelude::*;
use stratacache::{Cache, Resource, resource::Window};

use crate::{
    kit::{Contacts, ROWS, resource},
    support::{cache, tenant},
};

/// The arguments of a read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Read {
    One(u64),
    Page(String, u32),
    List(Option<String>, u64, u64),
    Count(Option<String>),
    Query(String),
    Partition(String),
}

fn key_of(contacts: &Resource<Contacts>, read: &Read) -> Vec<u8> {
    match read.clone() {
        Read::One(id) => contacts.key_for_one(&id).as_bytes().to_vec(),
        Read::Page(order, number) => contacts.key_for_page(&(order, number)).as_bytes().to_vec(),
        Read::List(city, offset, limit) => contacts.key_for_list(&city, Window { offset, limit }).as_bytes().to_vec(),
        Read::Count(city) => contacts.key_for_count(&city).as_bytes().to_vec(),
        Read::Query(text) => contacts.key_for_query(&text).as_bytes().to_vec(),
        Read::Partition(city) => contacts.key_for_partition(&city).as_bytes().to_vec(),
    }
}

fn read() -> impl Strategy<Value = Read> {
    let text = || "[a/.:\\x00]{0,3}";
    prop_oneof![
        (0_u64..4).prop_map(Read::One),
        (text(), 0_u32..3).prop_map(|(order, number)| Read::Page(order, number)),
        (proptest::option::of(text()), 0_u64..3, 0_u64..3)
            .prop_map(|(city, offset, limit)| Read::List(city, offset, limit)),
        proptest::option::of(text()).prop_map(Read::Count),
        text().prop_map(Read::Query),
        text().prop_map(Read::Partition),
    ]
}

fn a_resource() -> Resource<Contacts> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { resource(&cache().await, "acme", &[]).0 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn two_reads_share_a_key_only_if_all_their_arguments_are_equal(reads in proptest::collection::vec(read(), 40)) {
        let contacts = a_resource();
        let mut seen: HashMap<Vec<u8>, Read> = HashMap::new();
        for read in reads {
            let before = seen.insert(key_of(&contacts, &read), read.clone());
            prop_assert!(before.is_none_or(|before| before == read));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_found_by_its_filter_its_offset_and_its_limit() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    let ids = async |city: Option<&str>, window| {
        let list = contacts.list(city.map(str::to_owned), window).await.unwrap();
        list.iter().map(|contact| contact.id).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(ids(None, Window::first(2)).await, [1, 2]);
        assert_eq!(ids(None, Window::first(2).after(1)).await, [2, 3]);
        assert_eq!(ids(None, Window::first(100)).await, [1, 2, 3, 4, 5]);
        assert_eq!(ids(None, Window::first(100).after(4)).await, [5]);
        assert_eq!(ids(Some("Kiel"), Window::first(100)).await, [3, 4]);
        assert!(ids(Some(""), Window::first(100)).await.is_empty());
    }
    assert_eq!(source.asked().len(), 6, "each once");
}

const HOSTILE: [&str; 9] =
    ["x/../..", "../globex/contacts", "globex", "acme:contacts:1", "", "\0", "*", "contacts.items", "Bonn\n"];

#[tokio::test(start_paused = true)]
async fn a_partition_that_looks_like_a_path_or_like_another_tenants_key_stays_inside() {
    let cache = cache().await;
    let rows: Vec<(u64, &str)> = (1..).zip(HOSTILE).collect();
    let (acme, of_acme) = resource(&cache, "acme", &rows);
    let (globex, of_globex) = resource(&cache, "globex", &[(1, "Bonn")]);
    for city in HOSTILE {
        assert!(globex.partition(city.to_owned()).await.unwrap().is_empty(), "{city:?}");
        let found = acme.partition(city.to_owned()).await.unwrap();
        assert_eq!(found.iter().map(|contact| contact.city.as_str()).collect::<Vec<_>>(), [city]);
    }
    of_globex.asked();
    for city in HOSTILE {
        of_acme.asked();
        acme.invalidate(stratacache::resource::Scope::partition(&city.to_owned())).await.unwrap();
        for other in HOSTILE {
            acme.partition(other.to_owned()).await.unwrap();
            globex.partition(other.to_owned()).await.unwrap();
        }
        assert_eq!(of_acme.asked(), [format!("partition {city}")], "that one and no other");
    }
    assert!(of_globex.asked().is_empty(), "nothing of the other tenant");
}

#[tokio::test(start_paused = true)]
async fn tenants_and_namespaces_share_neither_results_nor_invalidations() {
    let cache: Cache = cache().await;
    let source = Contacts::new(&ROWS);
    let places = [
        tenant(&cache, "acme"),
        tenant(&cache, "globex"),
        tenant(&cache, "acme").namespace(("user", 1)),
        tenant(&cache, "acme").namespace(("user", 2)),
        cache.global(),
    ];
    let resources = places.map(|ns| Resource::new(&ns, source.clone()));
    for contacts in &resources {
        assert_eq!(crate::kit::read_all(contacts, &source).await.len(), 12, "{contacts:?} has loaded all of it itself");
    }
    resources[2].save(crate::kit::contact(1, "Bonn", "new")).await.unwrap();
    for (at, contacts) in resources.iter().enumerate() {
        let asked = crate::kit::read_all(contacts, &source).await;
        assert_eq!(asked.is_empty(), at != 2, "{contacts:?}: {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_kind_is_a_keyspace_of_its_own_with_counters_of_its_own() {
    let cache = cache().await;
    let (contacts, source) = resource(&cache, "acme", &ROWS);
    crate::kit::read_all(&contacts, &source).await;
    let names = [
        Resource::<Contacts>::ITEMS.name(),
        Resource::<Contacts>::PAGES.name(),
        Resource::<Contacts>::LISTS.name(),
        Resource::<Contacts>::COUNTS.name(),
        Resource::<Contacts>::QUERIES.name(),
        Resource::<Contacts>::PARTITIONS.name(),
    ];
    assert_eq!(
        names,
        ["contacts", "contacts.pages", "contacts.lists", "contacts.counts", "contacts.queries", "contacts.partitions"]
    );
    assert_eq!(names.map(|name| cache.keyspace_stats(name).loads), [5, 1, 1, 1, 1, 3]);
    assert_eq!(contacts.stats().loads, 12);
}
