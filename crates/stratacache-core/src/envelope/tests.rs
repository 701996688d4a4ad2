use bytes::Bytes;
use proptest::prelude::*;

use super::*;

use crate::{Deployment, Key, NamespacePath, TenantId, stamp::Incarnation};

fn head(seed: u64) -> Head {
    let deployment = Deployment::new([1; 16]);
    let tenant = TenantId::from(seed);
    let check = deployment.check(&tenant, &NamespacePath::default(), Key::<()>::new(seed).as_bytes());
    Head {
        absent: seed.is_multiple_of(5),
        older_than_token: seed.is_multiple_of(3),
        codec: Codec::Json,
        compression: Compression::None,
        check,
        id: seed,
        stamp: Position { incarnation: Incarnation(9), seq: seed + 1 },
        own: seed / 2,
        global: Position { incarnation: Incarnation(8), seq: 3 },
        tenant: 7,
        created: 1_000,
        fresh_until: 2_000,
        revalidate_until: 3_000,
        error_until: 4_000,
        load_ms: 17,
        tags: (0..seed % 4).map(|t| Scope::from_bytes([t as u8; 16])).collect(),
        global_tags: (0..seed % 3).map(|t| Scope::from_bytes([t as u8 + 100; 16])).collect(),
        etag: seed.is_multiple_of(2).then(|| format!("\"{seed}\"")),
        raw_len: (seed % 50) as u32,
        key: None,
    }
}

fn envelope(seed: u64) -> Bytes {
    encode(&head(seed), &vec![seed as u8; (seed % 50) as usize]).unwrap()
}

/// As the head of that seed, of a keyspace that keeps its keys.
fn head_with_key(seed: u64) -> Head {
    Head { key: Some(Bytes::copy_from_slice(Key::<()>::new(("key", seed)).as_bytes())), ..head(seed) }
}

fn envelope_with_key(seed: u64) -> Bytes {
    encode(&head_with_key(seed), &vec![seed as u8; (seed % 50) as usize]).unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    for seed in 0..300 {
        let (read, body) = decode(&envelope(seed)).unwrap();
        assert_eq!(read, head(seed));
        assert_eq!(body.len(), (seed % 50) as usize);
        let (read, body) = decode(&envelope_with_key(seed)).unwrap();
        assert_eq!(read, head_with_key(seed));
        assert_eq!(body.len(), (seed % 50) as usize);
    }
}

#[test]
fn every_single_bit_flip_of_200_envelopes_is_noticed() {
    for seed in 0..200 {
        let good = if seed % 2 == 0 { envelope(seed) } else { envelope_with_key(seed) }.to_vec();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad.into()).is_err(), "seed {seed} bit {bit}");
        }
    }
}

#[test]
fn every_truncation_and_extension_is_noticed() {
    for good in [envelope(43), envelope_with_key(43)] {
        for length in 0..good.len() {
            assert!(decode(&good.slice(..length)).is_err(), "{length}");
        }
        assert!(decode(&[&good[..], &[0]].concat().into()).is_err());
    }
}

#[test]
fn lengths_that_lie_are_refused_even_with_a_right_checksum() {
    // with the two bytes before the body's length comes that of the key
    for (at, value) in [(120, u32::MAX), (124, u32::MAX), (120, 51), (124, 1), (116, u32::MAX), (116, 0)] {
        let mut bad = envelope_with_key(43).to_vec();
        bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let end = bad.len() - TAIL;
        let sum = xxhash_rust::xxh3::xxh3_64(&bad[..end]);
        bad[end..].copy_from_slice(&sum.to_le_bytes());
        assert!(matches!(decode(&bad.into()), Err(EnvelopeError::Malformed(_))), "{at} {value}");
    }
}

#[test]
fn the_golden_envelope_of_version_1_reads_forever() {
    let golden = include_bytes!("golden/v1.bin");
    let (read, body) = decode(&Bytes::from_static(golden)).unwrap();
    assert_eq!(read, head(46));
    assert_eq!(&body[..], &[46; 46]);
    assert_eq!(&envelope(46)[..], &golden[..], "the format changed: raise VERSION and add a golden file");
}

#[test]
fn the_golden_envelope_of_version_2_reads_forever() {
    let golden = include_bytes!("golden/v2.bin");
    let (read, body) = decode(&Bytes::from_static(golden)).unwrap();
    assert_eq!(read, head_with_key(46));
    assert_eq!(&body[..], &[46; 46]);
    assert_eq!(&envelope_with_key(46)[..], &golden[..], "the format changed: raise VERSION and add a golden file");
}

#[test]
fn a_kept_key_is_read_of_the_first_bytes_alone() {
    for seed in 0..300 {
        let (whole, head) = (envelope_with_key(seed), head_with_key(seed));
        let key = head.key.unwrap();
        let end = HEAD + (head.tags.len() + head.global_tags.len()) * 16 + key.len();
        assert_eq!(kept_key(&whole[..end]), Ok(KeptKey::Clear(&key, end)));
        assert_eq!(kept_key(&whole[..end - 1]), Ok(KeptKey::Beyond(end)));
        assert_eq!(kept_key(&whole[..HEAD]), Ok(KeptKey::Beyond(end)));
        assert_eq!(kept_key(&whole[..HEAD - 1]), Err(EnvelopeError::NotOurs));
        assert_eq!(kept_key(&envelope(seed)), Ok(KeptKey::Not));
        assert_eq!(Outline::read(&whole).unwrap().length, whole.len());
    }
}

#[test]
fn a_key_that_is_too_long_to_be_kept_is_refused() {
    let with = |length: usize| encode(&Head { key: Some(vec![7; length].into()), ..head(1) }, &[1]);
    assert_eq!(decode(&with(MAX_KEPT_KEY).unwrap()).unwrap().0.key.unwrap().len(), MAX_KEPT_KEY);
    assert!(matches!(with(MAX_KEPT_KEY + 1), Err(EnvelopeError::TooLarge(_))));
}

#[test]
fn an_outline_says_of_the_first_bytes_what_the_whole_envelope_says() {
    for seed in 0..300 {
        let (whole, head) = (envelope(seed), head(seed));
        let needed = HEAD + (head.tags.len() + head.global_tags.len()) * 16;
        assert_eq!(Outline::needs(&whole[..HEAD]), Some(needed));
        let outline = Outline::read(&whole[..needed]).unwrap();
        assert_eq!((outline.stamp, outline.own, outline.global), (head.stamp, head.own, head.global));
        assert_eq!((outline.tenant, outline.tags, outline.global_tags), (head.tenant, head.tags, head.global_tags));
        assert_eq!(outline.length, whole.len());
        for length in 0..needed {
            assert!(Outline::read(&whole[..length]).is_err(), "{length} of {needed}");
        }
    }
    assert_eq!(Outline::needs(&envelope(1)[..HEAD - 1]), None);
}

#[test]
fn another_version_is_told_apart_from_damage() {
    let mut next = envelope(1).to_vec();
    next[2] = 3;
    assert_eq!(decode(&next.clone().into()), Err(EnvelopeError::Version(3)));
    assert_eq!(kept_key(&next), Err(EnvelopeError::Version(3)));
}

#[test]
fn a_codec_or_compression_of_a_later_release_is_told_apart_from_damage() {
    let with = |at: usize, byte: u8| {
        let mut other = envelope(1).to_vec();
        other[at] = byte;
        let end = other.len() - TAIL;
        let sum = xxhash_rust::xxh3::xxh3_64(&other[..end]);
        other[end..].copy_from_slice(&sum.to_le_bytes());
        decode(&other.into())
    };
    assert_eq!(with(4, 0), Err(EnvelopeError::UnknownCodec(0)));
    assert_eq!(with(4, 127), Err(EnvelopeError::UnknownCodec(127)));
    assert_eq!(with(4, 128).unwrap().0.codec, Codec::Own(crate::OwnCodec::new(128)));
    assert_eq!(with(5, 3), Err(EnvelopeError::UnknownCompression(3)));
    assert!(EnvelopeError::UnknownCompression(3).is_unknown() && EnvelopeError::Version(2).is_unknown());
    assert!(!EnvelopeError::Checksum.is_unknown() && !EnvelopeError::Malformed("").is_unknown());
}

proptest! {
    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = (Outline::needs(&bytes), Outline::read(&bytes), kept_key(&bytes).is_ok());
        let _ = decode(&bytes.into());
    }

    #[test]
    fn no_input_with_our_magic_and_sum_panics(
        mut bytes in proptest::collection::vec(any::<u8>(), HEAD..400),
        version in VERSION..=VERSION_WITH_KEY,
    ) {
        bytes[..3].copy_from_slice(&[b'S', b'C', version]);
        let sum = xxhash_rust::xxh3::xxh3_64(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        let _ = (Outline::needs(&bytes), Outline::read(&bytes), kept_key(&bytes).is_ok());
        let _ = decode(&bytes.into());
    }
}
