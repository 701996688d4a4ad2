//! Golden envelopes: what was ever written is read forever. `golden/README.md` says how a version is added.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stratacache_core::{
    Codec, CodecError, Compress, Deployment, Key, NamespacePath, OwnCodec, Scope, TenantId, ValueCodec,
    envelope::{self, Compression, Head, VERSION, VERSION_WITH_KEY},
    stamp::{Incarnation, Position},
};

use super::{decode, encode, expand, squeeze};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Person,
    Company { employees: u32 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Contact {
    id: u64,
    balance: i64,
    score: f64,
    name: String,
    phone: Option<String>,
    kinds: Vec<Kind>,
    notes: BTreeMap<String, Vec<u16>>,
}

fn contact() -> Contact {
    Contact {
        id: u64::MAX - 1,
        balance: -42,
        score: 0.125,
        name: "Ada \u{e9}\u{1f600}".to_owned(),
        phone: None,
        kinds: vec![Kind::Person, Kind::Company { employees: 300 }],
        notes: (0..12).map(|n| (format!("note {n:02}"), vec![n * 1_000; 6])).collect(),
    }
}

/// An own codec: JSON, backwards.
struct Backwards;

impl ValueCodec<Contact> for Backwards {
    fn id(&self) -> OwnCodec {
        OwnCodec::new(200)
    }

    fn encode(&self, value: &Contact, into: &mut Vec<u8>) -> Result<(), CodecError> {
        let json = serde_json::to_vec(value).map_err(|e| CodecError::encode("no JSON").with_source(e))?;
        into.extend(json.into_iter().rev());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Contact, CodecError> {
        let json: Vec<u8> = bytes.iter().rev().copied().collect();
        serde_json::from_slice(&json).map_err(|e| CodecError::decode("no such JSON").with_source(e))
    }
}

/// One golden envelope.
struct Case {
    name: String,
    codec: Codec,
    compress: Compress,
    absent: bool,
    older: bool,
    tags: u8,
    global_tags: u8,
    etag: Option<&'static str>,
    /// Of a keyspace that is `scannable`.
    key: bool,
}

impl Case {
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            codec: Codec::MessagePack,
            compress: Compress::Off,
            absent: false,
            older: false,
            tags: 0,
            global_tags: 0,
            etag: None,
            key: false,
        }
    }

    fn head(&self) -> Head {
        let tenant = TenantId::parse("golden").expect("a name");
        let deployment = Deployment::new([7; 16]);
        let scopes = |n: u8, first: u8| (0..n).map(|n| Scope::from_bytes([first.wrapping_add(n); 16])).collect();
        Head {
            absent: self.absent,
            older_than_token: self.older,
            codec: self.codec,
            compression: Compression::None,
            check: deployment.check(&tenant, &NamespacePath::default(), Key::<()>::new(&*self.name).as_bytes()),
            id: 0x0102_0304_0506_0708,
            stamp: Position { incarnation: Incarnation(11), seq: 12 },
            own: u64::from(self.older) * 13,
            global: Position { incarnation: Incarnation(14), seq: 15 },
            tenant: 16,
            created: 1_700_000_000_000,
            fresh_until: 1_700_000_300_000,
            revalidate_until: 1_700_000_400_000,
            error_until: 1_700_000_500_000,
            load_ms: 17,
            tags: scopes(self.tags, 1),
            global_tags: scopes(self.global_tags, 100),
            etag: self.etag.map(str::to_owned),
            raw_len: 0,
            key: self.key.then(|| Bytes::copy_from_slice(Key::<()>::new(&*self.name).as_bytes())),
        }
    }

    /// What this build writes.
    fn written(&self) -> Bytes {
        let mut head = self.head();
        if self.absent {
            return envelope::encode(&head, &[]).expect("an absence");
        }
        let own: Option<&dyn ValueCodec<Contact>> = matches!(self.codec, Codec::Own(_)).then_some(&Backwards);
        let (codec, raw) = encode(&contact(), own, self.codec).expect("a value");
        let squeezed = squeeze(raw, self.compress).expect("a body");
        head.codec = codec;
        head.compression = squeezed.compression;
        head.raw_len = squeezed.raw_len;
        envelope::encode(&head, &squeezed.body).expect("an envelope")
    }

    /// The only version that has it so far.
    fn version(&self) -> u8 {
        if self.key { VERSION_WITH_KEY } else { VERSION }
    }

    fn path(&self) -> PathBuf {
        folder(self.version()).join(format!("{}.bin", self.name))
    }
}

fn folder(version: u8) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("src/codec/golden/v{version}"))
}

/// Every codec with every compression, and what else an envelope may say.
fn cases() -> Vec<Case> {
    let codecs = [
        ("message-pack", Codec::MessagePack),
        ("json", Codec::Json),
        ("postcard", Codec::Postcard),
        ("own", Codec::Own(OwnCodec::new(200))),
    ];
    let compressions = [
        ("plain", Compress::Off),
        ("lz4", Compress::Lz4 { over: 0 }),
        #[cfg(feature = "zstd")]
        ("zstd", Compress::Zstd { level: 3, over: 0 }),
    ];
    let mut cases: Vec<Case> = codecs
        .iter()
        .flat_map(|(codec_name, codec)| {
            compressions.iter().map(move |(name, compress)| Case {
                codec: *codec,
                compress: *compress,
                ..Case::new(format!("{codec_name}-{name}"))
            })
        })
        .collect();
    cases.extend([
        Case { absent: true, ..Case::new("absent") },
        Case { absent: true, tags: 1, global_tags: 1, codec: Codec::Json, ..Case::new("absent-with-tags") },
        Case { tags: 3, ..Case::new("tags") },
        Case { tags: 200, global_tags: 100, ..Case::new("many-tags") },
        Case { global_tags: 2, ..Case::new("global-tags") },
        Case { etag: Some("W/\"\u{e9}-42\""), ..Case::new("etag") },
        Case { older: true, ..Case::new("inserted") },
        Case {
            codec: Codec::Json,
            compress: Compress::Lz4 { over: 0 },
            older: true,
            tags: 2,
            global_tags: 1,
            etag: Some("v1"),
            ..Case::new("everything")
        },
        Case { key: true, ..Case::new("key") },
        Case { key: true, absent: true, ..Case::new("absent-with-key") },
        Case {
            key: true,
            codec: Codec::Json,
            compress: Compress::Lz4 { over: 0 },
            tags: 2,
            global_tags: 1,
            etag: Some("v2"),
            ..Case::new("everything-with-key")
        },
    ]);
    cases
}

fn golden(case: &Case) -> Bytes {
    let path = case.path();
    if !path.exists() {
        fs::create_dir_all(folder(case.version())).expect("a folder");
        fs::write(&path, case.written()).expect("a file");
        panic!("{} did not exist and was written: look at it, and commit it", path.display());
    }
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into()
}

/// Reads the value of an envelope as a reader of the keyspace does.
fn value_of(head: &Head, body: &[u8]) -> Option<Contact> {
    if head.absent {
        return None;
    }
    let raw = expand(body, head.compression, head.raw_len).expect("a whole body");
    Some(decode(&raw, Some(&Backwards as &dyn ValueCodec<Contact>), head.codec).expect("a value"))
}

#[test]
fn golden_envelopes_of_every_version_are_read_forever() {
    for case in cases() {
        let (head, body) = envelope::decode(&golden(&case)).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let expected = Head { compression: head.compression, raw_len: head.raw_len, ..case.head() };
        assert_eq!(head, expected, "{}", case.name);
        assert_eq!(value_of(&head, &body), (!case.absent).then(contact), "{}", case.name);
    }
}

#[test]
fn what_this_build_writes_is_golden_byte_for_byte() {
    for case in cases() {
        let golden = golden(&case);
        let (head, body) = envelope::decode(&golden).expect("it is read above");
        let again = envelope::encode(&head, &body).expect("it was written once");
        assert_eq!(again, golden, "{}: the format changed: see golden/README.md", case.name);
        let written = case.written();
        if head.compression == Compression::None {
            assert_eq!(written, golden, "{}: the format or a codec changed: see golden/README.md", case.name);
            continue;
        }
        // another release of a compressor may find another way to say the same
        let (now, body) = envelope::decode(&written).expect("just written");
        assert_eq!(now, head, "{}: the format or a codec changed: see golden/README.md", case.name);
        assert_eq!(value_of(&now, &body), Some(contact()));
    }
}

#[test]
fn every_golden_file_belongs_to_a_case() {
    let known: Vec<PathBuf> = cases().iter().map(Case::path).collect();
    let folders =
        [VERSION, VERSION_WITH_KEY].map(|version| fs::read_dir(folder(version)).expect("a folder for each version"));
    for file in folders.into_iter().flatten() {
        let path = file.expect("a file").path();
        let of_a_feature = !cfg!(feature = "zstd") && path.to_string_lossy().contains("-zstd");
        assert!(known.contains(&path) || of_a_feature, "{} is read by nobody", path.display());
    }
}
