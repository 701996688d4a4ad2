//! What is logged at the finest level, said in errors and shown by `Debug`: no credential.
#![allow(clippy::unwrap_used)] // everything here is a test

mod common;

use std::time::Duration;

use common::{BUCKET, get, name, put};
use stratacache_core::tier::{GetMany, Tier, TierParts};
use stratacache_object::{Object, ObjectBuilder};
use stratacache_testkit::{
    logs::Log,
    s3::{HttpFault, HttpProxy, Moto, Requests, Times},
};

const ID: &str = "AKIAHUNTER2NOSYID";
const SECRET: &str = "hunter2-very-secret";
const TOKEN: &str = "hunter2-session-token";

fn check(said: &str) {
    for hidden in ["hunter2", "HUNTER2", "Signature=", "StringToSign"] {
        assert!(!said.contains(hidden), "{hidden}: {said}");
    }
}

fn on(url: &str) -> ObjectBuilder {
    Object::builder(format!("s3://{BUCKET}/cache"))
        .endpoint(url)
        .allow_http(true)
        .access_key(ID, SECRET)
        .session_token(TOKEN)
        .breaker_window(Duration::from_nanos(1))
        .retries(1)
}

/// The only test of this program: what tasks on other threads log is caught as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_credential_is_in_any_line_of_the_finest_log_nor_in_an_error_nor_in_debug() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.writer()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let server = Moto::start(&[BUCKET]).await.unwrap();
    let proxy = HttpProxy::start(server.addr(), 42).await.unwrap();
    check(&format!("{:?} {:#?}", on(&proxy.url()), on(&proxy.url())));
    let object = on(&proxy.url()).open().await.unwrap();
    check(&format!("{object:?}"));
    let tier = TierParts::from(object).tier;
    check(&format!("{tier:?}"));
    put(&tier, name(1), b"value").await.unwrap();
    get(&tier, name(1)).await.unwrap().unwrap();
    // what a store says when a signature is wrong: it repeats all of it
    let body = format!(
        "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>{ID}</AWSAccessKeyId><StringToSign>{SECRET}\
         </StringToSign><SignatureProvided>Signature={TOKEN}</SignatureProvided></Error>"
    );
    for fault in [
        HttpFault::Answer { status: 403, body: body.clone() },
        HttpFault::Answer { status: 400, body: body.clone() },
        HttpFault::Answer { status: 401, body: body.clone() },
        HttpFault::Answer { status: 500, body: body.clone() },
        HttpFault::Answer { status: 301, body: body.clone() },
        HttpFault::Answer { status: 404, body: body.clone() },
        HttpFault::Answer { status: 200, body },
        HttpFault::Cut,
        HttpFault::LoseReply,
        HttpFault::Truncate(3),
        HttpFault::ClaimLength(1 << 40),
    ] {
        proxy.fail(Requests::all(), fault, Times::Always);
        if let Err(error) = tier.get_many(GetMany::new(vec![name(1)])).await {
            check(&format!("{error} {error:?}"));
        }
        let _ = put(&tier, name(1), b"value").await;
        if let Err(error) = on(&proxy.url()).deadline(Duration::from_millis(500)).open().await {
            check(&format!("{error} {error:?}"));
        }
        proxy.heal();
    }
    for wrong in [
        on("http://hunter2:hunter2@host"),
        on("ftp://host"),
        on("https://host").anonymous(true),
        Object::builder(format!("s3://{ID}:{SECRET}@bucket/x")),
        Object::builder("az://container/x").account_key(SECRET),
        Object::builder("az://container/x").account("name").account_key(SECRET),
        Object::builder("gs://bucket/x").service_account(SECRET),
        Object::builder("gs://bucket/x").access_key(ID, SECRET),
    ] {
        check(&format!("{wrong:?}"));
        let error = wrong.open().await.unwrap_err();
        check(&format!("{error} {error:?}"));
    }
    let text = log.text();
    assert!(text.lines().count() > 5, "{text}");
    text.lines().for_each(check);
}
