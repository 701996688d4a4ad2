//! Where the objects are. A URL may hold what it should not, so no error here repeats it.

use std::path::PathBuf;

use stratacache_core::{Error, Result};

use crate::prefix::Prefix;

const FORMS: &str = "the URL of an object tier is s3://bucket[/prefix], gs://bucket[/prefix], az://container[/prefix] or \
                     file:///directory";
/// The prefix where the URL has none: objects never lie beside those of others.
const DEFAULT_PREFIX: &str = "strata";

/// Whose interface a store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    S3,
    Gcs,
    Azure,
    Directory,
}

impl Kind {
    /// Returns the beginning of its URLs.
    pub(crate) const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3://",
            Self::Gcs => "gs://",
            Self::Azure => "az://",
            Self::Directory => "file://",
        }
    }
}

/// Where the objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Under a prefix of a bucket, or container.
    Bucket { kind: Kind, bucket: String, prefix: Prefix },
    /// In a directory of their own.
    Directory(PathBuf),
}

impl Place {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let bad = |what: &str| Error::invalid(format!("{what}; {FORMS}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("the URL of the object tier has no scheme"))?;
        let kind = match scheme {
            "s3" => Kind::S3,
            "gs" => Kind::Gcs,
            "az" => Kind::Azure,
            "file" => return directory(rest),
            _ => return Err(bad("the scheme of the URL of the object tier is not known")),
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains('@') {
            return Err(Error::invalid(
                "the URL of the object tier holds a login; give it to the builder instead, which keeps it out of logs",
            ));
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        let named = (1..=222).contains(&bucket.len()) && bucket.bytes().all(plain) && !bucket.contains("..");
        if !named || !ends(bucket.bytes().next()) || !ends(bucket.bytes().last()) {
            return Err(bad("the bucket in the URL of the object tier has a name that no bucket can have"));
        }
        let prefix = if prefix.is_empty() { DEFAULT_PREFIX } else { prefix };
        Ok(Self::Bucket { kind, bucket: bucket.to_owned(), prefix: Prefix::parse(prefix)? })
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Bucket { kind, .. } => *kind,
            Self::Directory(_) => Kind::Directory,
        }
    }

    /// Returns it for `Debug`: there is no secret in it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Bucket { kind, bucket, prefix } => format!("{}{bucket}/{}", kind.scheme(), prefix.as_str()),
            Self::Directory(path) => format!("file://{}", path.display()),
        }
    }
}

/// Reads what follows `file://`: a path that is taken as it is written.
fn directory(path: &str) -> Result<Place> {
    let bad = |what: &str| {
        Error::invalid(format!("the directory in the URL of the object tier {what}; Object::directory takes any path"))
    };
    if !path.starts_with('/') || path.bytes().all(|b| b == b'/') {
        return Err(bad("must be file:/// and an absolute path"));
    }
    if path.contains(['%', '?', '#']) {
        return Err(bad("has a `%`, `?` or `#`, which mean something else in a URL"));
    }
    if path.contains('\0') || path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(bad("has a NUL, or a part that is `.` or `..`"));
    }
    Ok(Place::Directory(path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_url_is_read() {
        for (url, shown) in [
            ("s3://bucket", "s3://bucket/strata"),
            ("s3://bucket/", "s3://bucket/strata"),
            ("s3://my.bucket-1/a/b/", "s3://my.bucket-1/a/b"),
            ("gs://bucket_x/cache", "gs://bucket_x/cache"),
            ("az://container/cache", "az://container/cache"),
            ("file:///var/cache/strata", "file:///var/cache/strata"),
        ] {
            assert_eq!(Place::parse(url).unwrap().shown(), shown, "{url}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused_and_not_repeated() {
        for url in [
            "hunter2",
            "http://hunter2/",
            "s3://",
            "s3:///hunter2",
            "s3://Hunter2/x",
            "s3://-hunter2/x",
            "s3://hun..ter2",
            "s3://key:hunter2@bucket/x",
            "s3://bucket/../hunter2",
            "s3://bucket/a%2e%2e/hunter2",
            "s3://bucket/x?token=hunter2",
            "file://hunter2",
            "file:///",
            "file:///a/../hunter2",
            "file:///a/%2e%2e/hunter2",
            "file:///a\0hunter2",
        ] {
            let error = Place::parse(url).unwrap_err();
            assert_eq!(error.kind(), stratacache_core::ErrorKind::InvalidInput, "{url}");
            assert!(!format!("{error} {error:?}").to_lowercase().contains("hunter2"), "{url}: {error:?}");
        }
    }
}
