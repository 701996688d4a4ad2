//! Policy: how long values live, what happens when they are late, and where they are written.

mod check;
mod human;
mod tiers;

use std::time::Duration;

pub use check::Ceilings;
pub use human::parse_duration;
pub use tiers::{MAX_NAMED_TIERS, Tiers};

use crate::{Error, Result};

/// Returns a duration of `n` milliseconds.
#[must_use]
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Returns a duration of `n` seconds.
#[must_use]
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Returns a duration of `n` minutes.
#[must_use]
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// Returns a duration of `n` hours.
#[must_use]
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

/// Says when a read of a fresh value starts one refresh behind it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum RefreshAhead {
    /// Never. The default.
    #[default]
    Off,
    /// After this fraction of the ttl, more than 0 and less than 1.
    Fraction(f64),
    /// At random, more likely the nearer the end and the longer the load takes: when `-delta * beta * ln(u)` is at
    /// least the time left, `delta` being the measured load time (XFetch: Vattani, Chierichetti and Lowenstein, VLDB
    /// 2015). `beta` 1 is usual; a larger one refreshes earlier.
    Probabilistic(f64),
}

/// Says which tiers a value is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WriteMode {
    /// Into every tier. The default.
    #[default]
    Through,
    /// Into memory only; lower tiers are neither read nor written.
    MemoryOnly,
    /// Into memory at once, into lower tiers a little later: the write waits in a bounded queue, and nobody waits for it.
    ///
    /// What an insert or an invalidation removes from lower tiers is removed before it returns all the same. A write is lost
    /// when the queue is full, when the tier fails, or with the process; it is counted, and the value is read from its source
    /// again. It cannot be [`Strict`](OnWriteError::Strict), for it fails when the call has returned.
    Behind,
}

/// Says what the failure of one tier means for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnWriteError {
    /// Any tier's failure is the call's error, and the value is in no tier. The default of `insert`.
    Strict,
    /// One tier is enough; failures are counted and reported as events. The default of loads.
    BestEffort,
}

/// Says how new a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Consistency {
    /// At most this far behind the invalidations of other nodes. The default, with 1 s. A node without a shared tier
    /// is never behind.
    Bounded(Duration),
    /// Not behind any invalidation that returned before the read began.
    Latest,
    /// Not behind the write or invalidation that gave the token.
    Since(crate::Token),
    /// What the namespace or keyspace says.
    #[default]
    Inherit,
}

/// Says what a read does while the node cannot learn of other nodes' invalidations, for longer than the read allows.
///
/// It means nothing where nodes do not share a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnDisconnect {
    /// Load from the source. Loads are shared and within `max_loads`; what they bring is kept in memory until the bound
    /// of the read's consistency has passed since the load began. A read without a loader misses. The default.
    #[default]
    Bypass,
    /// Serve what memory holds as long as the node was up to date at most this long ago, then as `Bypass`.
    ServeStale(Duration),
    /// Reads with a loader fail with `LoadError::Unavailable`; reads without one miss.
    Fail,
}

/// How a value is turned into bytes, for the tiers below memory and for memory where a keyspace keeps values encoded.
///
/// The codec is noted in each envelope, and what was written with another one of these is read on after a change.
///
/// | codec | bytes | when the type changes |
/// |---|---|---|
/// | `MessagePack` | fields by name | optional fields may come and go |
/// | `Json` | most; text, for people and other programs | as MessagePack |
/// | `Postcard` | fewest; fields by place | any change makes old entries misses, or wrong where the bytes happen to fit: raise `Keyspace::version` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Codec {
    /// MessagePack with named fields: tolerates added and missing optional fields. The default.
    #[default]
    MessagePack,
    /// JSON.
    Json,
    /// Postcard: small and quick, but not self-describing: it cannot express `serde_json::Value`, internally tagged or untagged
    /// enums, nor fields that are skipped.
    Postcard,
    /// A keyspace's own codec. A policy cannot ask for it: [`Keyspace::codec`](crate::Keyspace::codec) does.
    #[serde(skip)]
    Own(crate::OwnCodec),
}

impl Codec {
    /// Returns the codec of an envelope's codec byte: 1 to 3 are ours, 128 to 255 are own codecs.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::MessagePack),
            2 => Some(Self::Json),
            3 => Some(Self::Postcard),
            _ => match crate::OwnCodec::from_byte(byte) {
                Some(own) => Some(Self::Own(own)),
                None => None,
            },
        }
    }

    /// Returns the byte that stands for it in an envelope.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::MessagePack => 1,
            Self::Json => 2,
            Self::Postcard => 3,
            Self::Own(own) => own.byte(),
        }
    }
}

/// How the bytes of a value are compressed. It comes after the codec, and only where it makes the bytes fewer by a sixteenth at
/// least: others are kept as they are, at the cost of the attempt.
///
/// In a file: `"off"`, `{"lz4": {"over": 1024}}`, `{"zstd": {"level": 3}}`; `over` may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Compress {
    /// Never.
    Off,
    /// LZ4 for bodies over `over` bytes. The default, over 1 KiB. It costs little: a few microseconds for 10 KiB.
    Lz4 {
        /// Bodies of at most this many bytes stay as they are. Default 1 KiB.
        #[serde(default = "over_1_kib")]
        over: u32,
    },
    /// Zstandard for bodies over `over` bytes: about half the bytes of LZ4 for text, at three times the time or more. Needs the
    /// feature `zstd`, on every node that reads: others miss, with an event. A thread that compresses keeps up to 4 MiB for it.
    #[cfg(feature = "zstd")]
    Zstd {
        /// -7 to 19. Negative ones are quicker, 0 means zstd's own default, 3. Above 9 each attempt takes milliseconds and
        /// megabytes.
        level: i8,
        /// Bodies of at most this many bytes stay as they are. Default 1 KiB.
        #[serde(default = "over_1_kib")]
        over: u32,
    },
}

const fn over_1_kib() -> u32 {
    1024
}

impl Compress {
    /// Returns LZ4 over 1 KiB, the default.
    #[must_use]
    pub const fn lz4() -> Self {
        Self::Lz4 { over: over_1_kib() }
    }

    /// Returns Zstandard of a level (-7 to 19) over 1 KiB.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub const fn zstd(level: i8) -> Self {
        Self::Zstd { level, over: over_1_kib() }
    }
}

impl Default for Compress {
    fn default() -> Self {
        Self::lz4()
    }
}

/// How many lower tiers can have a ttl, a number of hits or a weight limit of their own in one policy.
pub const MAX_TIER_RULES: usize = 4;

/// What a policy says about one tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierRule {
    /// The tier's name: `memory`, `disk`, ...
    pub tier: &'static str,
    /// Caps the life in that tier.
    pub ttl: Option<Duration>,
    /// Stores in that tier only from the n-th miss on.
    pub min_hits: u32,
    /// Stores in that tier only envelopes of at most so many bytes.
    pub max_weight: Option<u64>,
}

/// Says how long values live, what happens when they are late, and where they are written.
///
/// `Copy`, made in `const`, and read from files with human durations (`"1h"`, `"500ms"`). Every knob has a default, so
/// `Policy::ttl(minutes(5))` is a whole policy. Settings given at a call win over those of the keyspace, which win over
/// those of the namespace.
///
/// ```
/// use stratacache_core::{Policy, hours, minutes, seconds};
///
/// const DASHBOARD: Policy = Policy::ttl(seconds(60))
///     .stale_while_revalidate(minutes(5))
///     .stale_if_error(hours(1))
///     .refresh_ahead(0.8);
/// assert_eq!(DASHBOARD.fresh_time(), seconds(60));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    ttl: Duration,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
    refresh_ahead: RefreshAhead,
    jitter: f32,
    negative_ttl: Duration,
    idle_ttl: Option<Duration>,
    load_timeout: Duration,
    soft_timeout: Option<Duration>,
    max_weight: Option<u64>,
    write: WriteMode,
    on_write_error: Option<OnWriteError>,
    consistency: Consistency,
    on_disconnect: OnDisconnect,
    lease: Duration,
    lease_wait: Duration,
    promote: bool,
    compress: Compress,
    codec: Codec,
    tiers: Tiers,
    rules: [Option<TierRule>; MAX_TIER_RULES],
}

impl Default for Policy {
    fn default() -> Self {
        Self::ttl(minutes(5))
    }
}

macro_rules! knobs {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $body:expr, $get:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $name(mut self, $name: $type) -> Self {
            self.$name = $body;
            self
        }

        #[doc = concat!("Returns the value of [`", stringify!($name), "`](Self::", stringify!($name), ").")]
        #[must_use]
        pub const fn $get(&self) -> knobs!(@get $name) {
            self.$name
        }
    )*};
    (@get stale_while_revalidate) => { Duration };
    (@get stale_if_error) => { Duration };
    (@get jitter) => { f32 };
    (@get negative_ttl) => { Duration };
    (@get idle_ttl) => { Option<Duration> };
    (@get load_timeout) => { Duration };
    (@get soft_timeout) => { Option<Duration> };
    (@get max_weight) => { Option<u64> };
    (@get write) => { WriteMode };
    (@get on_write_error) => { Option<OnWriteError> };
    (@get consistency) => { Consistency };
    (@get on_disconnect) => { OnDisconnect };
    (@get lease) => { Duration };
    (@get lease_wait) => { Duration };
    (@get promote) => { bool };
    (@get compress) => { Compress };
    (@get codec) => { Codec };
    (@get tiers) => { Tiers };
}

impl Policy {
    /// Makes a policy with a fresh time and defaults for the rest.
    ///
    /// There is no "forever": the ttl is at most the cache's `max_ttl` (24 h unless set otherwise).
    ///
    /// # Panics
    /// At compile time in a `const`, otherwise when called: if the ttl is below one millisecond. Policies read from
    /// files give an error instead.
    #[must_use]
    pub const fn ttl(ttl: Duration) -> Self {
        assert!(ttl.as_millis() > 0, "ttl must be at least 1 ms; to cache nothing, do not call the cache");
        Self::unchecked(ttl)
    }

    const fn unchecked(ttl: Duration) -> Self {
        Self {
            ttl,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            refresh_ahead: RefreshAhead::Off,
            jitter: 0.05,
            negative_ttl: seconds(30),
            idle_ttl: None,
            load_timeout: seconds(30),
            soft_timeout: None,
            max_weight: None,
            write: WriteMode::Through,
            on_write_error: None,
            consistency: Consistency::Inherit,
            on_disconnect: OnDisconnect::Bypass,
            lease: seconds(3),
            lease_wait: seconds(5),
            promote: true,
            compress: Compress::lz4(),
            codec: Codec::MessagePack,
            tiers: Tiers::all(),
            rules: [None; MAX_TIER_RULES],
        }
    }

    /// Returns the fresh time (the ttl).
    #[must_use]
    pub const fn fresh_time(&self) -> Duration {
        self.ttl
    }

    /// Returns the same policy with another ttl.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    knobs! {
        /// Sets how long after the ttl a value is served stale at once while one refresh runs behind it. Default 0.
        stale_while_revalidate: Duration => stale_while_revalidate, stale_while_revalidate_time;
        /// Sets how long after the ttl a value is served stale when the loader fails or times out. Default 0.
        stale_if_error: Duration => stale_if_error, stale_if_error_time;
        /// Sets which fraction of the ttl may be cut at random, 0 to 1, so that entries made together do not expire
        /// together. It only shortens. Default 0.05.
        jitter: f32 => jitter, jitter_fraction;
        /// Sets how long a known absence lives. Default 30 s.
        negative_ttl: Duration => negative_ttl, negative_time;
        /// Makes values expire when they are not read for this long. Off by default.
        idle_ttl: Duration => Some(idle_ttl), idle_time;
        /// Sets how long a load may take before its callers get `LoadError::Timeout`. Default 30 s.
        load_timeout: Duration => load_timeout, load_timeout_time;
        /// Sets how long callers wait for a load before they get the stale value they have, while the load goes on.
        /// Off by default.
        soft_timeout: Duration => Some(soft_timeout), soft_timeout_time;
        /// Sets the weight in bytes above which values are returned but not stored. Default: what each tier can take.
        max_weight: u64 => Some(max_weight), weight_limit;
        /// Sets which tiers values are written to. Default [`WriteMode::Through`].
        write: WriteMode => write, write_mode;
        /// Sets what the failure of one tier means for a write. Default: `Strict` for `insert`, `BestEffort` for loads.
        on_write_error: OnWriteError => Some(on_write_error), on_write_error_mode;
        /// Sets how new reads must be. Default `Bounded(1 s)`.
        consistency: Consistency => consistency, consistency_mode;
        /// Sets what reads do while the node cannot learn of other nodes' invalidations. Default [`OnDisconnect::Bypass`].
        on_disconnect: OnDisconnect => on_disconnect, on_disconnect_mode;
        /// Sets how long the right to load a key lives that a node has from the others; it is renewed while the load runs,
        /// and ends so long after the node died. 100 ms to 1 h. Default 3 s.
        lease: Duration => lease, lease_time;
        /// Sets how long a load waits for another node that loads the same key, before it loads for itself and keeps the
        /// value in memory only. Default 5 s.
        lease_wait: Duration => lease_wait, lease_wait_time;
        /// Sets whether a hit in a lower tier fills the tiers above it. Default true.
        promote: bool => promote, promotes;
        /// Sets the compression of encoded values. Default LZ4 over 1 KiB.
        compress: Compress => compress, compression;
        /// Sets the codec of values below memory. Default MessagePack with named fields. A keyspace's own codec comes first.
        codec: Codec => codec, codec_id;
        /// Sets which tiers below memory are read and written. Default: all. What is invalidated is so in all of them.
        tiers: Tiers => tiers, tiers_used;
    }

    /// Sets the fraction of the ttl after which a read starts one refresh behind, more than 0 and less than 1. Default: off.
    #[must_use]
    pub const fn refresh_ahead(mut self, fraction: f64) -> Self {
        self.refresh_ahead = RefreshAhead::Fraction(fraction);
        self
    }

    /// Sets probabilistic early refresh (XFetch) with its `beta`, more than 0; 1 is usual. Default: off.
    #[must_use]
    pub const fn refresh_ahead_probabilistic(mut self, beta: f64) -> Self {
        self.refresh_ahead = RefreshAhead::Probabilistic(beta);
        self
    }

    /// Returns when reads of a fresh value start a refresh.
    #[must_use]
    pub const fn refresh_ahead_rule(&self) -> RefreshAhead {
        self.refresh_ahead
    }

    /// Caps the life of values in one tier, also after promotion: it counts from when the value was made. Default: none but the ttl.
    ///
    /// # Panics
    /// When more than four tiers get rules of their own.
    #[must_use]
    pub const fn tier_ttl(mut self, tier: &'static str, ttl: Duration) -> Self {
        let (slot, rule) = self.rule_of(tier);
        self.rules[slot] = Some(TierRule { ttl: Some(ttl), ..rule });
        self
    }

    /// Caps the life of values in one tier, as [`tier_ttl`](Self::tier_ttl) does, for a policy that is put together while the program runs.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when more than four tiers get rules of their own.
    pub fn try_tier_ttl(self, tier: &'static str, ttl: Duration) -> Result<Self> {
        if self.rules.iter().all(|rule| rule.is_some_and(|rule| rule.tier != tier)) {
            return Err(Error::invalid(format!(
                "tier_ttl of {tier:?}: a policy and the call together have rules for at most {MAX_TIER_RULES} tiers"
            )));
        }
        Ok(self.tier_ttl(tier, ttl))
    }

    /// Stores in one lower tier only values whose envelope has at most so many bytes. Default: what
    /// [`max_weight`](Self::max_weight) and the tier allow.
    ///
    /// # Panics
    /// When more than four tiers get rules of their own.
    #[must_use]
    pub const fn tier_max_weight(mut self, tier: &'static str, bytes: u64) -> Self {
        let (slot, rule) = self.rule_of(tier);
        self.rules[slot] = Some(TierRule { max_weight: Some(bytes), ..rule });
        self
    }

    /// Stores in one lower tier only from the n-th miss of a key on. Default 1: at once.
    ///
    /// # Panics
    /// When more than four tiers get rules of their own.
    #[must_use]
    pub const fn min_hits(mut self, tier: &'static str, hits: u32) -> Self {
        let (slot, rule) = self.rule_of(tier);
        self.rules[slot] = Some(TierRule { min_hits: hits, ..rule });
        self
    }

    /// Returns what the policy says about one tier.
    #[must_use]
    pub fn tier_rule(&self, tier: &str) -> Option<&TierRule> {
        self.rules.iter().flatten().find(|rule| rule.tier == tier)
    }

    /// Returns the place of a tier's rule, and what it says so far.
    const fn rule_of(&self, tier: &'static str) -> (usize, TierRule) {
        let mut slot = 0;
        while slot < MAX_TIER_RULES {
            match self.rules[slot] {
                None => return (slot, TierRule { tier, ttl: None, min_hits: 1, max_weight: None }),
                Some(rule) if same_text(rule.tier, tier) => return (slot, rule),
                Some(_) => slot += 1,
            }
        }
        panic!("a policy has rules for at most 4 tiers")
    }
}

const fn same_text(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
