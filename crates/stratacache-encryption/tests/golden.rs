//! Encrypted envelopes of every released version, kept for ever: what an older release wrote is read, or is a miss.
#![allow(clippy::unwrap_used)] // helpers of tests may panic

use std::path::PathBuf;

use bytes::Bytes;
use stratacache_core::{
    Codec, Deployment, EntryCheck, Key, NamespacePath, Scope, TenantId,
    encryption::{Cipher, DataKey, KeyId},
    envelope::{self, Compression, EnvelopeError, Head, VERSION, VERSION_WITH_KEY},
    stamp::{Incarnation, Position},
};
use stratacache_encryption::aes_256_gcm_siv;

const KEY: KeyId = KeyId(0x0123_4567_89ab_cdef);
const PLACE: &[u8] = b"a place";

fn cipher() -> Box<dyn Cipher> {
    aes_256_gcm_siv(&DataKey::take(KEY, &mut std::array::from_fn(|i| i as u8))).unwrap()
}

fn head(name: &str, body: &[u8]) -> Head {
    let check: EntryCheck = Deployment::new([5; 16]).check(
        &TenantId::parse("acme").unwrap(),
        &NamespacePath::default(),
        Key::<()>::new("k").as_bytes(),
    );
    Head {
        absent: body.is_empty(),
        older_than_token: true,
        codec: Codec::Json,
        compression: Compression::None,
        check,
        id: 17,
        stamp: Position { incarnation: Incarnation(9), seq: 4 },
        own: 5,
        global: Position { incarnation: Incarnation(8), seq: 3 },
        tenant: 7,
        created: 1_000,
        fresh_until: 2_000,
        revalidate_until: 3_000,
        error_until: 4_000,
        load_ms: 17,
        tags: vec![Scope::from_bytes([1; 16]), Scope::from_bytes([2; 16])],
        global_tags: vec![Scope::from_bytes([3; 16])],
        etag: (!body.is_empty()).then(|| "\"1\"".to_owned()),
        key: (name == "key").then(|| Bytes::copy_from_slice(Key::<()>::new("k").as_bytes())),
        raw_len: body.len() as u32,
    }
}

const CASES: [(&str, &[u8]); 3] = [("value", b"[1,2,3]"), ("absent", b""), ("key", b"[4]")];

fn path(name: &str) -> PathBuf {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let version = if name == "key" { VERSION_WITH_KEY } else { VERSION };
    golden.join(format!("v{version}")).join(format!("{name}.bin"))
}

#[test]
fn golden_encrypted_envelopes_are_read_as_they_were_written() {
    for (name, body) in CASES {
        let path = path(name);
        if !path.exists() {
            // a new version: written once, looked at, and committed
            let plain = envelope::encode(&head(name, body), body).unwrap();
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, envelope::seal(&plain, PLACE, KEY, &*cipher()).unwrap()).unwrap();
            panic!("{} did not exist and was written: look at it, and commit it", path.display());
        }
        let golden = Bytes::from(std::fs::read(&path).unwrap());
        assert_eq!(envelope::sealed_by(&golden), Some(KEY));
        let (read, text) = envelope::open(&golden, PLACE, &*cipher()).unwrap();
        assert_eq!((read, &text[..]), (head(name, body), body), "{name}");
    }
}

#[test]
fn nothing_of_an_encrypted_envelope_can_be_changed_and_only_its_place_opens_it() {
    for (name, _) in CASES {
        let golden = std::fs::read(path(name)).unwrap();
        let sealed = Bytes::from(golden.clone());
        assert_eq!(envelope::decode(&sealed), Err(EnvelopeError::Sealed));
        assert_eq!(envelope::open(&sealed, b"a plac", &*cipher()), Err(EnvelopeError::Unauthentic));
        for bit in 0..golden.len() * 8 {
            let mut bad = golden.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(envelope::open(&bad.clone().into(), PLACE, &*cipher()).is_err(), "{name}, bit {bit}");
            let end = bad.len() - 8;
            if bit / 8 < end {
                let sum = xxhash_rust::xxh3::xxh3_64(&bad[..end]);
                bad[end..].copy_from_slice(&sum.to_le_bytes());
                assert!(
                    envelope::open(&bad.into(), PLACE, &*cipher()).is_err(),
                    "{name}, bit {bit}, checksum made to fit"
                );
            }
        }
    }
}

#[test]
fn an_encrypted_envelope_that_is_cut_off_is_an_error_at_every_length() {
    let golden = Bytes::from(std::fs::read(path("value")).unwrap());
    for length in 0..golden.len() {
        let cut = golden.slice(..length);
        assert!(envelope::open(&cut, PLACE, &*cipher()).is_err());
        let _ = envelope::sealed_by(&cut); // whatever it says, it does not panic
    }
}
