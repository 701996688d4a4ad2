use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::{ErrorKind, Key, Keyspace, Policy, TargetKind, minutes};

const POLICY: Policy = Policy::ttl(minutes(5));
const CONTACTS: Keyspace<u64, String> = Keyspace::new("contacts", POLICY).version(3);
const SALES: Keyspace<(u32, u16, u8), f64> = Keyspace::new("sales", POLICY).prefixes(2);
const BY_MAIL: Keyspace<str, u64> = Keyspace::new("by-mail", POLICY).normalize_text(lower);

fn lower(text: &str) -> Cow<'_, str> {
    text.to_lowercase().into()
}

fn known() -> [KeyspaceShape; 3] {
    [CONTACTS.info().shape(), SALES.info().shape(), BY_MAIL.info().shape()]
}

fn one(json: &str) -> Located {
    targets_from_json(json).unwrap()[0].locate(&known()).unwrap()
}

fn key_bytes(json: &str) -> Vec<u8> {
    match one(json).target {
        LocatedTarget::One(target) => match target.into_kind() {
            TargetKind::Key(key) | TargetKind::Namespace(key) => key.as_bytes().to_vec(),
            TargetKind::Prefix(prefix) => prefix.as_bytes().to_vec(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn json_parts_are_the_parts_that_rust_writes() {
    let same: [(&str, Key<()>); 14] = [
        ("\"ada\"", Key::new("ada")),
        ("42", Key::new(42_u8)),
        ("-42", Key::new(-42_i64)),
        ("18446744073709551615", Key::new(u64::MAX)),
        ("true", Key::new(true)),
        ("null", Key::new(None::<u8>)),
        ("{\"some\": 7}", Key::new(Some(7_u32))),
        ("[\"contact\", 42]", Key::new(("contact", 42))),
        ("[\"a\", [\"b\", [1]]]", Key::new(("a", ("b", (1,))))),
        ("{\"unit\": null}", Key::new(())),
        ("{\"bytes\": \"00ff\"}", Key::new([0_u8, 255])),
        ("{\"bytes\": \"\\\\x00ff\"}", Key::new([0_u8, 255])),
        ("{\"variant\": [1, 7]}", Key::new(Some(7))),
        ("{\"bytes\": \"\"}", Key::new([0_u8; 0])),
    ];
    for (json, key) in same {
        assert_eq!(key_bytes(&format!("{{\"key\": {json}}}")), key.as_bytes(), "{json}");
    }
}

#[test]
fn keys_of_keyspaces_are_those_that_the_keyspace_makes() {
    assert_eq!(key_bytes(r#"{"key": 42, "keyspace": "contacts"}"#), CONTACTS.key(&42).as_bytes());
    assert_eq!(key_bytes(r#"{"key": 42, "keyspace": "contacts", "version": 3}"#), CONTACTS.key(&42).as_bytes());
    assert_ne!(key_bytes(r#"{"key": 42, "keyspace": "contacts", "version": 2}"#), CONTACTS.key(&42).as_bytes());
    assert_eq!(key_bytes(r#"{"key": "ADA@x", "keyspace": "by-mail"}"#), BY_MAIL.key("ada@X").as_bytes());
    let by_name = targets_from_json(r#"{"key": 42, "keyspace": "contacts", "version": 3}"#).unwrap();
    let located = by_name[0].locate(&[]).unwrap();
    assert!(matches!(located.target, LocatedTarget::One(_)), "one that is not known is taken as it is");
}

#[test]
fn a_prefix_is_the_keyspaces_own_or_refused() {
    assert_eq!(key_bytes(r#"{"prefix": [42, 2026], "keyspace": "sales"}"#), SALES.prefix(&(42, 2026)).as_bytes());
    for (json, word) in [
        (r#"{"prefix": [42, 2026, 7], "keyspace": "sales"}"#, ".prefixes(3)"),
        (r#"{"prefix": [42], "keyspace": "other"}"#, ".keyspace(..)"),
        (r#"{"prefix": [1,2,3,4,5,6,7,8], "keyspace": "sales"}"#, "1 to 7"),
    ] {
        let error = targets_from_json(json).unwrap()[0].locate(&known()).unwrap_err();
        assert!(error.to_string().contains(word), "{json}: {error}");
    }
}

#[test]
fn levels_name_nested_namespaces() {
    let located = one(r#"{"key": "theme", "in": [["user", 42], "settings"]}"#);
    let levels: Vec<&[u8]> = located.levels.iter().map(Key::as_bytes).collect();
    assert_eq!(levels, [Key::<()>::new(("user", 42)).as_bytes(), Key::<()>::new("settings").as_bytes()]);
    let located = one(r#"{"namespace": [["user", 42], "settings"]}"#);
    assert_eq!(located.levels.len(), 1);
    assert!(matches!(one(r#"{"everything": true}"#).target, LocatedTarget::Everything));
    assert!(matches!(one(r#"{"all_tenants": true}"#).target, LocatedTarget::AllTenants));
    let built = ChangeTarget::key("theme").within(("user", 42)).within("settings");
    assert_eq!(targets_from_json(r#"{"key": "theme", "in": [["user", 42], "settings"]}"#).unwrap(), [built]);
}

#[test]
fn what_is_not_a_target_is_refused_with_a_reason_and_without_its_content() {
    for json in [
        "",
        "secret",
        "\"secret\"",
        "42",
        "null",
        "{}",
        r#"{"tags": "secret"}"#,
        r#"{"tag": "secret", "key": 1}"#,
        r#"{"tag": "secret", "in": [1]}"#,
        r#"{"tag": 1.5}"#,
        r#"{"tag": 1e400}"#,
        r#"{"tag": 18446744073709551616}"#,
        r#"{"tag": {"secret": 1}}"#,
        r#"{"tag": {"some": 1, "unit": null}}"#,
        r#"{"tag": {"uuid": "secret"}}"#,
        r#"{"tag": {"bytes": "f"}}"#,
        r#"{"tag": {"variant": []}}"#,
        r#"{"key": 1, "keyspace": ""}"#,
        r#"{"key": 1, "version": 1}"#,
        r#"{"key": 1, "keyspace": "a", "version": -1}"#,
        r#"{"key": 1, "in": "secret"}"#,
        r#"{"prefix": 1, "keyspace": "sales"}"#,
        r#"{"prefix": [], "keyspace": "sales"}"#,
        r#"{"prefix": [1]}"#,
        r#"{"namespace": []}"#,
        r#"{"everything": false}"#,
        r#"{"all_tenants": false}"#,
        r#"{"all_tenants": true, "everything": true}"#,
        r#"{"all_tenants": true, "in": ["a"]}"#,
        r#"[{"tag": 1}, 2]"#,
    ] {
        let error = targets_from_json(json).expect_err(json);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn size_number_and_depth_of_targets_are_bounded() {
    let deep = |n: usize| format!("{{\"tag\": {}1{}}}", "[".repeat(n), "]".repeat(n));
    assert!(targets_from_json(&deep(16)).is_ok());
    assert!(targets_from_json(&deep(17)).is_err());
    assert!(targets_from_json(&deep(100_000)).is_err());
    let many = |n: usize| format!("[{}]", vec!["{\"tag\":1}"; n].join(","));
    assert!(targets_from_json(&many(MAX_CHANGE_TARGETS)).is_ok());
    assert!(targets_from_json(&many(MAX_CHANGE_TARGETS + 1)).is_err());
    assert!(targets_from_json(&format!("{{\"tag\": \"{}\"}}", "x".repeat(MAX_CHANGE_TEXT))).is_err());
    let long_key = targets_from_json(&format!("{{\"key\": \"{}\"}}", "x".repeat(70_000))).unwrap();
    assert!(long_key[0].locate(&[]).unwrap_err().to_string().contains("64 KiB"));
}

#[test]
fn targets_written_as_json_are_read_as_they_were() {
    let all = [
        ChangeTarget::tag(("contacts", 42)),
        ChangeTarget::key("k").within("a").within(("b", 1)),
        ChangeTarget::of(&CONTACTS.key(&42)),
        ChangeTarget::everything(),
        ChangeTarget::all_tenants(),
        ChangeTarget::everything().within(("user", 42)),
        targets_from_json(r#"{"key": 42, "keyspace": "contacts", "version": 2, "in": ["x"]}"#).unwrap().remove(0),
        targets_from_json(r#"{"prefix": [42, 2026], "keyspace": "sales"}"#).unwrap().remove(0),
    ];
    assert_eq!(targets_from_json(&targets_to_json(&all)).unwrap(), all);
}

#[test]
fn debug_prints_lengths_only() {
    let shown = format!("{:?}", ChangeTarget::tag("secret-mail@example.com").within("secret"));
    assert!(!shown.contains("secret"), "{shown}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}\":, a-z0-9.\\\\-]{0,200}") {
        if let Ok(targets) = targets_from_json(&text) {
            for target in targets {
                let _ = target.locate(&known());
            }
        }
    }

    #[test]
    fn any_bytes_and_texts_come_back(text in ".*", bytes: Vec<u8>, n: i64) {
        let targets = [ChangeTarget::tag((text.as_str(), n)), ChangeTarget::key(bytes).within(text)];
        prop_assert_eq!(targets_from_json(&targets_to_json(&targets)).unwrap(), targets);
    }
}
