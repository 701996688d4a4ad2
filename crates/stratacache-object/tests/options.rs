//! Options that are out of range or mean nothing for a store are refused by name, before anything is sent.
#![allow(clippy::unwrap_used)] // everything here is a test

use std::time::Duration;

use stratacache_core::ErrorKind;
use stratacache_object::{Object, ObjectBuilder};

fn s3() -> ObjectBuilder {
    Object::builder("s3://bucket/cache").endpoint("https://127.0.0.1:1").access_key("id", "secret").probe(false)
}

#[tokio::test]
async fn an_option_that_cannot_be_is_refused_by_name() {
    for (builder, says) in [
        (s3().deadline(Duration::ZERO), "`deadline`"),
        (s3().deadline(Duration::from_secs(61)), "`deadline`"),
        (s3().breaker_window(Duration::ZERO), "`breaker_window`"),
        (s3().requests(0), "`requests`"),
        (s3().requests(1025), "`requests`"),
        (s3().max_weight(0), "`max_weight`"),
        (s3().max_weight((1 << 30) + 1), "`max_weight`"),
        (s3().create_dir(false), "`create_dir`"),
        (s3().endpoint("http://127.0.0.1:1"), "allow_http(true)"),
        (s3().endpoint("127.0.0.1:1"), "`endpoint`"),
        (s3().account("name"), "`account`"),
        (s3().service_account("{}"), "`service_account`"),
        (s3().anonymous(true), "`anonymous`"),
        (Object::builder("s3://bucket").session_token("token"), "`session_token`"),
        (Object::builder("gs://bucket").region("eu"), "`region`"),
        (Object::builder("az://container"), "`account`"),
        (Object::builder("az://container").account("name").virtual_hosted(true), "`virtual_hosted`"),
        (Object::directory("/nowhere/at/all").endpoint("https://host"), "`endpoint`"),
        (Object::directory("/nowhere/at/all").allow_http(true), "`allow_http`"),
    ] {
        let shown = format!("{builder:?}");
        let error = builder.open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{shown}: {error}");
        assert!(error.to_string().contains(says), "{shown}: {error}");
    }
}

#[tokio::test]
async fn every_kind_of_store_opens_without_being_asked_where_that_is_wanted() {
    for builder in [
        s3(),
        s3().session_token("token").region("eu-central-1"),
        Object::builder("s3://bucket").probe(false),
        Object::builder("s3://bucket").anonymous(true).probe(false),
        Object::builder("gs://bucket/cache").anonymous(true).probe(false),
        Object::builder("az://container/cache").account("name").account_key("c2VjcmV0").probe(false),
        Object::builder("az://container/cache").account_key("c2VjcmV0").account("name").probe(false),
    ] {
        let shown = format!("{builder:?}");
        let object = builder.open().await.unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert!(!object.creates());
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_is_an_error_of_the_probe() {
    let error = s3().retries(0).probe(true).deadline(Duration::from_secs(60)).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
