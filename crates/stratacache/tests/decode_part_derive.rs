//! `#[derive(DecodePart)]`: what `#[derive(KeyPart)]` writes comes back.
#![allow(clippy::unwrap_used)] // tests may panic

use std::{borrow::Cow, fmt::Debug, marker::PhantomData, sync::Arc};

use proptest::prelude::*;
use stratacache::{DecodePart, Key, KeyPart, Keyspace, PartDecoder, PartEncoder, Policy, minutes};
use stratacache_core::KeyView;

fn bytes(part: impl KeyPart) -> Vec<u8> {
    Key::<()>::new(part).as_bytes().to_vec()
}

/// Reads one part, and nothing else.
fn back<T: DecodePart>(encoded: &[u8]) -> Option<T> {
    let mut parts = KeyView::of(encoded)?.part();
    T::decode(&mut parts).filter(|_| parts.is_at_end())
}

#[track_caller]
fn same<T: DecodePart + PartialEq + Debug>(value: T) {
    assert_eq!(back::<T>(&bytes(&value)).as_ref(), Some(&value));
}

#[derive(Debug, Clone, PartialEq, KeyPart, DecodePart)]
struct Filter {
    company: Option<u32>,
    text: String,
    order: Order,
    #[key_part(with = bits, read = of_bits)]
    above: f64,
    #[key_part(with = each, read = all)]
    years: Vec<u16>,
}

fn bits(value: &f64, parts: &mut PartEncoder) {
    value.to_bits().encode(parts);
}

fn of_bits(parts: &mut PartDecoder<'_>) -> Option<f64> {
    u64::decode(parts).map(f64::from_bits)
}

fn each(years: &[u16], parts: &mut PartEncoder) {
    years.iter().for_each(|year| year.encode(parts));
}

fn all(parts: &mut PartDecoder<'_>) -> Option<Vec<u16>> {
    let mut years = Vec::new();
    while !parts.is_at_end() {
        years.push(u16::decode(parts)?);
    }
    Some(years)
}

#[derive(Debug, Clone, PartialEq, KeyPart, DecodePart)]
enum Order {
    ByName,
    ByAge { oldest_first: bool },
    By(String, String),
    Nested(Box<Self>),
    Empty {},
    Nothing(),
}

#[derive(Debug, Clone, PartialEq, KeyPart, DecodePart)]
struct Pair<T, const N: usize>([u8; N], T)
where
    T: PartialEq;

#[derive(Debug, PartialEq, KeyPart, DecodePart)]
struct Unit;

#[derive(Debug, PartialEq, KeyPart, DecodePart)]
struct Braces {}

#[derive(Debug, PartialEq, KeyPart, DecodePart)]
struct Brackets();

#[derive(Debug, PartialEq, KeyPart, DecodePart)]
#[key_part(transparent)]
struct Slug(String);

#[derive(Debug, PartialEq, KeyPart, DecodePart)]
#[key_part(transparent)]
struct Height {
    #[key_part(with = bits, read = of_bits)]
    metres: f64,
}

#[derive(Debug, PartialEq, KeyPart, DecodePart)]
struct Borrowed<'a> {
    text: Cow<'a, str>,
    shared: Arc<str>,
    bytes: Box<[u8]>,
}

#[derive(Debug, PartialEq, KeyPart, DecodePart)]
enum Numbered {
    #[key_part(index = 4_000_000_000)]
    Large(u8),
    #[key_part(index = 0)]
    Small,
}

#[derive(Debug, PartialEq, KeyPart, DecodePart)]
enum Reordered {
    #[key_part(index = 0)]
    Smallest,
    #[key_part(index = 4_000_000_000)]
    Largest(u8),
}

#[derive(Debug, PartialEq, KeyPart, DecodePart)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, PartialEq, KeyPart, DecodePart)]
enum Never {}

/// A parameter that is never stored needs no bound.
#[derive(Debug, PartialEq, KeyPart, DecodePart)]
#[key_part(bound = "T: PartialEq", crate = stratacache)]
struct Typed<T> {
    id: u64,
    #[key_part(with = nothing, read = nothing_back)]
    kind: PhantomData<T>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn nothing<T>(_: &PhantomData<T>, _: &mut PartEncoder) {}

fn nothing_back<T>(_: &mut PartDecoder<'_>) -> Option<PhantomData<T>> {
    Some(PhantomData)
}

trait Row {
    type Id;
}

#[derive(Debug, PartialEq)]
struct Contact;

impl Row for Contact {
    type Id = u32;
}

/// What is in the key is a type of the parameter's.
#[derive(KeyPart, DecodePart)]
#[key_part(bound = "R: Row, R::Id: KeyPart", read_bound = "R::Id: DecodePart")]
struct IdOf<R: Row>(R::Id);

#[test]
fn every_shape_comes_back() {
    same(Order::ByName);
    same(Order::ByAge { oldest_first: true });
    same(Order::ByAge { oldest_first: false });
    same(Order::By("a".into(), "bc".into()));
    same(Order::Nested(Box::new(Order::Nested(Box::new(Order::ByName)))));
    same(Order::Empty {});
    same(Order::Nothing());
    same(Pair(*b"ab", "c".to_owned()));
    same(Pair([], Some(-7_i64)));
    same(Unit);
    same(Braces {});
    same(Brackets());
    same(Slug("a".into()));
    same(Height { metres: 1.5 });
    same(Borrowed { text: "a".into(), shared: "b".into(), bytes: [1, 2].into() });
    same(Numbered::Large(7));
    same(Numbered::Small);
    same(Switch::On);
    same(Switch::Off);
    same(Typed::<f64> { id: 7, kind: PhantomData });
    assert_eq!(back::<IdOf<Contact>>(&bytes(IdOf::<Contact>(7))).map(|id| id.0), Some(7));
    same((Slug("a".into()), Some(Unit), (Switch::Off, 7_u8)));
}

#[test]
fn what_is_another_shape_does_not_come_back() {
    assert_eq!(back::<Slug>(&bytes(("a",))), None, "a group is not its member");
    assert_eq!(back::<Pair<u8, 1>>(&bytes((*b"a",))), None, "a field is missing");
    assert_eq!(back::<Pair<u8, 1>>(&bytes((*b"a", 1, 2))), None, "there is one more");
    assert_eq!(back::<Pair<u8, 1>>(&bytes((*b"a", 300))), None, "a number is too large");
    assert_eq!(back::<Unit>(&bytes(7)), None);
    assert_eq!(back::<Braces>(&bytes(7)), None);
    assert_eq!(back::<Height>(&bytes(1.5_f64.to_bits())), None, "what `with` writes is a group");
    assert_eq!(back::<Height>(&bytes((1.5_f64.to_bits(), 7))), None, "`read` leaves something");
    assert_eq!(back::<Switch>(&bytes(Order::Empty {})), None, "no such variant");
    assert_eq!(back::<Switch>(&bytes(Some(7))), None, "the variant has no field");
    assert_eq!(back::<Order>(&bytes(Numbered::Large(7))), None);
    assert_eq!(back::<Never>(&bytes(Order::ByName)), None);
}

#[test]
fn variants_with_an_index_may_change_their_places_and_names() {
    assert_eq!(back(&bytes(Numbered::Large(7))), Some(Reordered::Largest(7)));
    assert_eq!(back(&bytes(Reordered::Smallest)), Some(Numbered::Small));
}

#[test]
fn a_key_of_a_keyspace_comes_back() {
    const LISTS: Keyspace<Filter, u8> = Keyspace::new("lists", Policy::ttl(minutes(1)));
    let filter =
        Filter { company: Some(7), text: "a/b".into(), order: Order::ByName, above: -0.0, years: vec![2024, 0] };
    assert_eq!(back::<Filter>(LISTS.key(&filter).as_bytes()), Some(filter));
}

fn order() -> impl Strategy<Value = Order> {
    let leaf = prop_oneof![
        Just(Order::ByName),
        Just(Order::Empty {}),
        Just(Order::Nothing()),
        any::<bool>().prop_map(|oldest_first| Order::ByAge { oldest_first }),
        (".{0,40}", ".{0,300}").prop_map(|(a, b)| Order::By(a, b)),
    ];
    leaf.prop_recursive(6, 8, 1, |inner| inner.prop_map(|order| Order::Nested(Box::new(order))))
}

fn filter() -> impl Strategy<Value = Filter> {
    let above = any::<f64>().prop_filter("not equal to itself", |above| !above.is_nan());
    (any::<Option<u32>>(), ".{0,40}", order(), above, any::<Vec<u16>>())
        .prop_map(|(company, text, order, above, years)| Filter { company, text, order, above, years })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]
    #[test]
    fn any_filter_comes_back(filter in filter()) {
        prop_assert_eq!(back::<Filter>(&bytes(&filter)), Some(filter));
    }

    #[test]
    fn of_damaged_bytes_a_whole_value_comes_back_or_none(
        filter in filter(), at in any::<prop::sample::Index>(), byte in any::<u8>(), end in any::<prop::sample::Index>(),
    ) {
        let mut encoded = bytes(&filter);
        let at = at.index(encoded.len());
        encoded[at] = byte;
        encoded.truncate(end.index(encoded.len() * 2).max(1));
        if let Some(found) = back::<Filter>(&encoded) {
            let again = bytes(&found);
            prop_assert_eq!(back::<Filter>(&again).map(bytes), Some(again));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = back::<Filter>(&bytes);
        let _ = back::<Order>(&bytes);
        let _ = back::<Typed<u8>>(&bytes);
        let _ = back::<Never>(&bytes);
    }
}
