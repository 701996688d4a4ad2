//! From the builder's options to a client of the right kind.

use std::sync::Arc;

use object_store::{
    ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
};
use stratacache_core::{Error, Result};

use super::http::Bounded;
use crate::{access::Access, place::Kind};

/// Retries are ours, within the deadline and a budget.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// Makes a client whose answers have at most so many bytes.
pub(super) fn store(kind: Kind, bucket: &str, access: &Access, most: u64) -> Result<Arc<dyn ObjectStore>> {
    // the deadline of each request is ours
    let options = ClientOptions::new().with_timeout_disabled().with_connect_timeout_disabled();
    let options = options.with_allow_http(access.allow_http);
    let bounded = Bounded { most };
    let built: Result<Arc<dyn ObjectStore>, object_store::Error> = match kind {
        Kind::S3 => s3(bucket, access, options, bounded).map(|store| Arc::new(store) as _),
        Kind::Gcs => gcs(bucket, access, options, bounded).map(|store| Arc::new(store) as _),
        Kind::Azure => azure(bucket, access, options, bounded).map(|store| Arc::new(store) as _),
        Kind::Directory => return Err(Error::invalid("a directory is no bucket")),
    };
    // its own words may repeat what it was given
    built.map_err(|_| {
        Error::invalid(format!(
            "the client for {} cannot be made from these options: look at endpoint, region, account and keys",
            kind.scheme()
        ))
    })
}

fn s3(
    bucket: &str,
    access: &Access,
    options: ClientOptions,
    bounded: Bounded,
) -> object_store::Result<object_store::aws::AmazonS3> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_client_options(options)
        .with_http_connector(bounded)
        .with_retry(no_retries())
        .with_virtual_hosted_style_request(access.virtual_hosted)
        .with_skip_signature(access.anonymous)
        // not every store has it, and its failures are told in another way
        .with_disable_bulk_delete(true);
    if let Some(region) = &access.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &access.endpoint {
        builder = builder.with_endpoint(&endpoint.0);
    }
    if let Some((id, key)) = &access.key {
        builder = builder.with_access_key_id(id.reveal()).with_secret_access_key(key.reveal());
    }
    if let Some(token) = &access.session_token {
        builder = builder.with_token(token.reveal());
    }
    builder.build()
}

fn gcs(
    bucket: &str,
    access: &Access,
    options: ClientOptions,
    bounded: Bounded,
) -> object_store::Result<object_store::gcp::GoogleCloudStorage> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_client_options(options)
        .with_http_connector(bounded)
        .with_retry(no_retries())
        .with_skip_signature(access.anonymous);
    if let Some(endpoint) = &access.endpoint {
        builder = builder.with_base_url(&endpoint.0);
    }
    if let Some(account) = &access.service_account {
        builder = builder.with_service_account_key(account.reveal());
    }
    builder.build()
}

fn azure(
    container: &str,
    access: &Access,
    options: ClientOptions,
    bounded: Bounded,
) -> object_store::Result<object_store::azure::MicrosoftAzure> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(container)
        .with_client_options(options)
        .with_http_connector(bounded)
        .with_retry(no_retries())
        .with_allow_http(access.allow_http)
        .with_skip_signature(access.anonymous);
    if let Some((account, key)) = &access.account {
        builder = builder.with_account(account);
        if let Some(key) = key {
            builder = builder.with_access_key(key.reveal());
        }
    }
    if let Some(endpoint) = &access.endpoint {
        builder = builder.with_endpoint(endpoint.0.clone());
    }
    builder.build()
}
