//! A body that lies about its length is an error of the body, before it takes memory: what the allocator says.
#![allow(clippy::unwrap_used)] // helpers of tests may panic

mod support;

use std::sync::Mutex;

use peak_alloc::PeakAlloc;
use stratacache::{Cache, Codec, Compress, Lookup, Policy, minutes, seconds};
use stratacache_core::envelope::{self, Compression};
use stratacache_testkit::tiers::MemoryTier;
use support::{builder, tenant};
use tokio::time::sleep;
use xxhash_rust::xxh3::xxh3_64;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The allocator counts for the whole process: one case at a time.
static ALONE: Mutex<()> = Mutex::new(());

const POLICY: Policy = Policy::ttl(minutes(5)).jitter(0.0).tier_ttl("memory", seconds(5)).compress(Compress::Off);
const MOST: usize = 16 << 20;

/// Where a head has the compression, and the length of the body when decompressed.
const COMPRESSION_AT: usize = 5;
const RAW_LEN_AT: usize = 124;

async fn over(below: &MemoryTier) -> Cache {
    builder().tier(below.with_journal()).build().await.unwrap()
}

/// Replaces the body of the only envelope below, and what the head says of it, under a right checksum.
fn plant(below: &MemoryTier, compression: Compression, body: &[u8], raw_len: u32) {
    let name = below.names()[0];
    let (mut head, _) = envelope::decode(&below.raw(name).unwrap()).unwrap();
    head.compression = Compression::None;
    head.codec = Codec::MessagePack;
    head.raw_len = body.len() as u32;
    let mut forged = envelope::encode(&head, body).unwrap().to_vec();
    forged[COMPRESSION_AT] = match compression {
        Compression::None => 0,
        Compression::Lz4 => 1,
        _ => 2,
    };
    forged[RAW_LEN_AT..RAW_LEN_AT + 4].copy_from_slice(&raw_len.to_le_bytes());
    let end = forged.len() - envelope::TAIL;
    let sum = xxh3_64(&forged[..end]);
    forged[end..].copy_from_slice(&sum.to_le_bytes());
    below.put_raw(name, forged);
}

/// Reads one planted body and returns the bytes that were given out at most, above those before.
fn extra(compression: Compression, body: &[u8], raw_len: u32) -> usize {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let below = MemoryTier::new("disk").persistent(true);
        let cache = over(&below).await;
        let acme = tenant(&cache, "acme");
        acme.insert("k", String::from("harmless")).policy(POLICY).await.unwrap();
        sleep(seconds(6)).await;
        plant(&below, compression, body, raw_len);
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        assert_eq!(acme.lookup::<String>("k").await, Lookup::Miss);
        let tier = &cache.stats().tiers[1];
        assert_eq!(tier.corrupt_envelopes + tier.unknown_envelopes, 1, "{tier:?}");
        ALLOCATOR.peak_usage().saturating_sub(before)
    })
}

#[track_caller]
fn is_refused(what: &str, compression: Compression, body: &[u8], raw_len: u32) {
    let extra = extra(compression, body, raw_len);
    assert!(extra < MOST, "{what}: {extra} bytes");
}

const BOTH: [Compression; 2] = [Compression::Lz4, Compression::Zstd];

#[test]
fn a_body_of_1_kib_that_claims_as_much_as_can_be_claimed_is_refused() {
    for compression in BOTH {
        for raw_len in [1 << 20, 256 << 20, 1 << 30] {
            for byte in [0x00, 0x1f, 0xf0, 0xff] {
                is_refused("a claim", compression, &[byte; 1024], raw_len);
            }
        }
        // above what a length can be: not even an envelope
        is_refused("4 GiB", compression, &[0; 1024], u32::MAX);
    }
}

#[test]
fn a_body_that_claims_the_most_that_is_believed_is_refused_within_the_bound() {
    for compression in BOTH {
        is_refused("255 times", compression, &[0x1f; 1024], 1024 * 255);
    }
}

/// An LZ4 block that repeats one byte so often.
fn lz4_bomb(length: usize) -> Vec<u8> {
    // one literal, then a match of offset 1 whose length goes on in bytes of 255
    let mut block = vec![0x1f, b'A', 1, 0];
    block.extend(std::iter::repeat_n(255, length / 255));
    block.extend([0, 0x50, b'B', b'B', b'B', b'B', b'B']);
    block
}

#[test]
fn a_bomb_of_lz4_with_an_honest_or_a_small_length_is_refused_within_the_bound() {
    let bomb = lz4_bomb(255 * 1024);
    for raw_len in [10, 1000, 60_000, 200_000] {
        is_refused("more than it claims", Compression::Lz4, &bomb, raw_len);
    }
    is_refused("much more than is believed", Compression::Lz4, &bomb, 1 << 30);
}

#[cfg(feature = "zstd")]
mod zstd_bombs {
    use super::*;

    /// A frame of so many zero bytes: about a ten-thousandth of them.
    fn bomb(length: usize) -> Vec<u8> {
        zstd::bulk::compress(&vec![0; length], 3).unwrap()
    }

    #[test]
    fn a_bomb_of_zstd_is_refused_within_the_bound_whatever_length_it_claims() {
        let bomb = bomb(64 << 20);
        assert!(bomb.len() < 16 << 10, "{} bytes", bomb.len());
        for raw_len in [1, 100_000, 1 << 20, 64 << 20, 1 << 30] {
            is_refused("a bomb", Compression::Zstd, &bomb, raw_len);
        }
    }

    #[test]
    fn a_frame_that_asks_for_a_window_of_2_gib_takes_none() {
        // magic, a descriptor without size, a window of 2 GiB, and a last block of one byte a million times
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8];
        let block: u32 = 1 | 1 << 1 | 100_000 << 3;
        frame.extend_from_slice(&block.to_le_bytes()[..3]);
        frame.push(b'A');
        frame.resize(1024, 0);
        for raw_len in [100, 100_000, 200_000] {
            is_refused("a window", Compression::Zstd, &frame, raw_len);
        }
    }
}
