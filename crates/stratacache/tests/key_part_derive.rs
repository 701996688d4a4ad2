//! `#[derive(KeyPart)]`: different values, different keys.
#![allow(clippy::unwrap_used)] // tests may panic

use proptest::prelude::*;
use stratacache::{Key, KeyPart, PartEncoder};

fn bytes(part: impl KeyPart) -> Vec<u8> {
    Key::<()>::new(part).as_bytes().to_vec()
}

fn all_differ(all: &[Vec<u8>]) {
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            assert_eq!(a == b, i == j, "{i} {j}");
        }
    }
}

#[derive(Debug, Clone, PartialEq, KeyPart)]
struct Filter {
    company: Option<u32>,
    text: String,
    order: Order,
    #[key_part(with = bits)]
    above: f64,
}

fn bits(value: &f64, parts: &mut PartEncoder) {
    value.to_bits().encode(parts);
}

#[derive(Debug, Clone, PartialEq, KeyPart)]
enum Order {
    ByName,
    ByAge { oldest_first: bool },
    By(String, String),
    Nested(Box<Self>),
    Empty {},
    Nothing(),
}

#[derive(Debug, Clone, PartialEq, KeyPart)]
struct Pair<'a, T: ?Sized, const N: usize>([u8; N], &'a T)
where
    T: PartialEq;

#[derive(Debug, PartialEq, KeyPart)]
struct Unit;

#[derive(Debug, PartialEq, KeyPart)]
#[key_part(transparent)]
struct Slug(String);

#[derive(Debug, PartialEq, KeyPart)]
struct Wrapper(String);

#[derive(KeyPart)]
enum Numbered {
    #[key_part(index = 4_000_000_000)]
    Large,
    #[key_part(index = 0)]
    Small,
}

#[derive(KeyPart)]
enum Reordered {
    #[key_part(index = 0)]
    Smallest,
    #[key_part(index = 4_000_000_000)]
    Largest,
}

#[derive(KeyPart)]
enum Never {}

/// A parameter that is never stored needs no bound.
#[derive(KeyPart)]
#[key_part(bound = "T: Clone", crate = stratacache)]
struct Typed<T> {
    id: u64,
    #[key_part(with = nothing)]
    kind: std::marker::PhantomData<T>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn nothing<T>(_: &std::marker::PhantomData<T>, _: &mut PartEncoder) {}

#[test]
fn every_shape_has_a_key_of_its_own() {
    all_differ(&[
        bytes(Order::ByName),
        bytes(Order::ByAge { oldest_first: true }),
        bytes(Order::ByAge { oldest_first: false }),
        bytes(Order::By("a".into(), "bc".into())),
        bytes(Order::By("ab".into(), "c".into())),
        bytes(Order::Nested(Box::new(Order::ByName))),
        bytes(Order::Nested(Box::new(Order::Nested(Box::new(Order::ByName))))),
        bytes(Order::Empty {}),
        bytes(Order::Nothing()),
        bytes(Unit),
        bytes(Slug("a".into())),
        bytes(Wrapper("a".into())),
        bytes(Pair(*b"a", "b")),
        bytes(Pair(*b"ab", "")),
        bytes(Pair(*b"a", &[1_u8, 2][..])),
        bytes(Typed::<u8> { id: 7, kind: std::marker::PhantomData }),
        bytes(Numbered::Large),
    ]);
    let _: fn(Never) -> Vec<u8> = |never| bytes(never);
}

#[test]
fn a_struct_is_the_group_of_its_fields_and_a_transparent_one_is_its_field() {
    assert_eq!(bytes(Wrapper("a".into())), bytes(("a",)));
    assert_eq!(bytes(Slug("a".into())), bytes("a"));
    assert_eq!(bytes(Unit), bytes(()));
}

#[test]
fn variants_with_an_index_may_change_their_places_and_names() {
    assert_eq!(bytes(Numbered::Large), bytes(Reordered::Largest));
    assert_eq!(bytes(Numbered::Small), bytes(Reordered::Smallest));
    assert_ne!(bytes(Numbered::Large), bytes(Numbered::Small));
}

fn order() -> impl Strategy<Value = Order> {
    let leaf = prop_oneof![
        Just(Order::ByName),
        Just(Order::Empty {}),
        Just(Order::Nothing()),
        any::<bool>().prop_map(|oldest_first| Order::ByAge { oldest_first }),
        ("[ab]{0,2}", "[ab]{0,2}").prop_map(|(a, b)| Order::By(a, b)),
    ];
    leaf.prop_recursive(2, 4, 1, |inner| inner.prop_map(|order| Order::Nested(Box::new(order))))
}

fn filter() -> impl Strategy<Value = Filter> {
    (proptest::option::of(0_u32..3), "[ab]{0,2}", order(), prop_oneof![Just(0.0), Just(-1.5)])
        .prop_map(|(company, text, order, above)| Filter { company, text, order, above })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn equal_keys_mean_equal_values(a in filter(), b in filter()) {
        prop_assert_eq!(bytes(&a) == bytes(&b), a == b);
    }

    #[test]
    fn equal_keys_mean_equal_enums(a in order(), b in order()) {
        prop_assert_eq!(bytes(&a) == bytes(&b), a == b);
    }
}
