//! Policies in files: human durations, unknown knobs refused.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::{Ceilings, Codec, Compress, Consistency, OnDisconnect, OnWriteError, Policy, WriteMode};
use crate::{Error, Result};

/// Reads a duration such as `"500ms"`, `"1.5s"`, `"5m"`, `"1h"`, `"1h30m"` or `"1d"`.
///
/// Units are `ms`, `s`, `m`, `h` and `d`; several may follow each other. A bare number has no unit and is refused.
///
/// ```
/// use stratacache_core::{parse_duration, millis};
///
/// assert_eq!(parse_duration("1.5s")?, millis(1500));
/// assert_eq!(parse_duration("1h30m")?, millis(5_400_000));
/// assert!(parse_duration("60").is_err());
/// # Ok::<(), stratacache_core::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that shows the text and an example.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let refuse =
        || Error::invalid(format!("{text:?} is not a duration; write for example \"500ms\", \"1.5s\" or \"1h30m\""));
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(refuse)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(refuse()),
        };
        let number: f64 = number.parse().map_err(|_| refuse())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| refuse())?;
        total = total.checked_add(part).ok_or_else(refuse)?;
        rest = tail.trim_start();
    }
    Ok(total)
}

#[derive(Debug, Clone, Copy)]
struct Human(Duration);

impl<'de> Deserialize<'de> for Human {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(|e| de::Error::custom(e.message().to_owned()))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ahead {
    Fraction(f64),
    Probabilistic { probabilistic: f64 },
}

/// A token means nothing in a file.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum HowNew {
    Bounded(Human),
    Latest,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WhenAway {
    Bypass,
    ServeStale(Human),
    Fail,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ttl: Option<Human>,
    stale_while_revalidate: Option<Human>,
    stale_if_error: Option<Human>,
    refresh_ahead: Option<Ahead>,
    jitter: Option<f32>,
    negative_ttl: Option<Human>,
    idle_ttl: Option<Human>,
    load_timeout: Option<Human>,
    soft_timeout: Option<Human>,
    max_weight: Option<u64>,
    write: Option<WriteMode>,
    on_write_error: Option<OnWriteError>,
    consistency: Option<HowNew>,
    on_disconnect: Option<WhenAway>,
    lease: Option<Human>,
    lease_wait: Option<Human>,
    promote: Option<bool>,
    compress: Option<Compress>,
    codec: Option<Codec>,
}

/// Reads a policy from a file: durations are text with a unit, knobs left out keep their defaults, unknown knobs and
/// values out of range are errors. Ceilings are checked when the policy is given to a cache.
impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let file = File::deserialize(deserializer)?;
        let mut policy = Self::default();
        macro_rules! take {
            ($($knob:ident $(. $human:tt)?),*) => {$(
                if let Some(value) = file.$knob { policy = policy.$knob(value $(. $human)?); }
            )*};
        }
        if let Some(ttl) = file.ttl {
            policy = policy.with_ttl(ttl.0);
        }
        take!(
            stale_while_revalidate.0,
            stale_if_error.0,
            jitter,
            negative_ttl.0,
            idle_ttl.0,
            load_timeout.0,
            soft_timeout.0,
            max_weight,
            write,
            on_write_error,
            lease.0,
            lease_wait.0,
            promote,
            compress,
            codec
        );
        policy = match file.consistency {
            None => policy,
            Some(HowNew::Bounded(delta)) => policy.consistency(Consistency::Bounded(delta.0)),
            Some(HowNew::Latest) => policy.consistency(Consistency::Latest),
        };
        policy = match file.on_disconnect {
            None => policy,
            Some(WhenAway::Bypass) => policy.on_disconnect(OnDisconnect::Bypass),
            Some(WhenAway::ServeStale(max)) => policy.on_disconnect(OnDisconnect::ServeStale(max.0)),
            Some(WhenAway::Fail) => policy.on_disconnect(OnDisconnect::Fail),
        };
        policy = match file.refresh_ahead {
            None => policy,
            Some(Ahead::Fraction(fraction)) => policy.refresh_ahead(fraction),
            Some(Ahead::Probabilistic { probabilistic }) => policy.refresh_ahead_probabilistic(probabilistic),
        };
        policy.check(&Ceilings::WIDEST).map_err(|e| de::Error::custom(e.message().to_owned()))?;
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RefreshAhead, hours, millis, seconds};

    #[test]
    fn a_policy_file_with_human_durations_reads() {
        let policy: Policy = serde_json::from_str(
            r#"{"ttl": "1h", "stale_if_error": "500ms", "refresh_ahead": {"probabilistic": 1.0}, "codec": "json"}"#,
        )
        .unwrap();
        assert_eq!(policy.fresh_time(), hours(1));
        assert_eq!(policy.stale_if_error_time(), millis(500));
        assert_eq!(policy.refresh_ahead_rule(), RefreshAhead::Probabilistic(1.0));
        assert_eq!(policy.codec_id(), Codec::Json);
        let policy: Policy =
            serde_json::from_str(r#"{"compress": {"lz4": {"over": 10}}, "refresh_ahead": 0.5}"#).unwrap();
        assert_eq!(policy.compression(), Compress::Lz4 { over: 10 });
        assert_eq!(policy.refresh_ahead_rule(), RefreshAhead::Fraction(0.5));
        let policy: Policy = serde_json::from_str(r#"{"compress": {"lz4": {}}, "codec": "postcard"}"#).unwrap();
        assert_eq!((policy.compression(), policy.codec_id()), (Compress::lz4(), Codec::Postcard));
        let policy: Policy = serde_json::from_str(r#"{"compress": "off", "codec": "message_pack"}"#).unwrap();
        assert_eq!((policy.compression(), policy.codec_id()), (Compress::Off, Codec::MessagePack));
        let policy: Policy =
            serde_json::from_str(r#"{"consistency": {"bounded": "2s"}, "on_disconnect": {"serve_stale": "1m"}}"#)
                .unwrap();
        assert_eq!(policy.consistency_mode(), Consistency::Bounded(seconds(2)));
        assert_eq!(policy.on_disconnect_mode(), OnDisconnect::ServeStale(seconds(60)));
    }

    #[cfg(feature = "zstd")]
    #[test]
    fn a_policy_file_may_ask_for_zstd_within_its_levels() {
        let read = |file: &str| serde_json::from_str::<Policy>(file);
        let policy = read(r#"{"compress": {"zstd": {"level": -5, "over": 300}}}"#).unwrap();
        assert_eq!(policy.compression(), Compress::Zstd { level: -5, over: 300 });
        assert_eq!(read(r#"{"compress": {"zstd": {"level": 3}}}"#).unwrap().compression(), Compress::zstd(3));
        for (file, says) in [
            (r#"{"compress": {"zstd": {"level": 20}}}"#, "compress: the level of zstd is 20"),
            (r#"{"compress": {"zstd": {"level": 300}}}"#, "300"),
            (r#"{"compress": {"zstd": {}}}"#, "level"),
            (r#"{"compress": {"zstd": {"level": 3, "window": 9}}}"#, "window"),
        ] {
            let error = read(file).unwrap_err().to_string();
            assert!(error.contains(says), "{file}: {error}");
        }
    }

    #[test]
    fn bad_files_are_refused_with_the_reason() {
        for (file, says) in [
            (r#"{"ttl": "60"}"#, "500ms"),
            (r#"{"ttl": "0s"}"#, "ttl"),
            (r#"{"jitter": 2}"#, "jitter"),
            (r#"{"tll": "60s"}"#, "tll"),
            (r#"{"ttl": "forever"}"#, "duration"),
            (r#"{"codec": {"own": 200}}"#, "own"),
            (r#"{"compress": "gzip"}"#, "gzip"),
        ] {
            let error = serde_json::from_str::<Policy>(file).unwrap_err().to_string();
            assert!(error.contains(says), "{file}: {error}");
        }
    }

    #[test]
    fn durations_add_up_and_nonsense_is_refused() {
        assert_eq!(parse_duration("2m 30s").unwrap(), seconds(150));
        assert_eq!(parse_duration("1d").unwrap(), hours(24));
        for bad in ["", "ms", "-1s", "1x", "1.2.3s", "1e9h", "99999999999999999999d", "s1"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
