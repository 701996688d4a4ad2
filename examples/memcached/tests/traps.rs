//! What goes wrong with Memcached and those who speak to it, one by one.
#![allow(clippy::unwrap_used)] // everything here is a test

mod support;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use memcached_tier::Memcached;
use stratacache::{
    ErrorKind,
    clock::{Clock as _, Millis},
    hours, seconds,
    tier::{EntryName, GetMany, PutItem, PutMany, PutOutcome, RemoveMany, Tier as _, TierErrorKind},
};
use stratacache_testkit::clock::ManualClock;
use support::Server;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// A time that no clock of a test reaches.
const FAR: Millis = 1 << 45;

fn name(n: u16) -> EntryName {
    EntryName::from_bytes((u128::from(n) + 1).to_be_bytes())
}

fn names(n: u16) -> Vec<EntryName> {
    (0..n).map(name).collect()
}

fn item(n: u16, envelope: impl Into<Bytes>) -> PutItem {
    PutItem::new(name(n), envelope.into(), FAR, None)
}

async fn put(tier: &Memcached, items: Vec<PutItem>) -> Vec<PutOutcome> {
    tier.put_many(PutMany::new(items)).await.unwrap()
}

async fn get(tier: &Memcached, names: Vec<EntryName>) -> Vec<Option<Bytes>> {
    let got = tier.get_many(GetMany::new(names)).await.unwrap();
    got.into_iter().map(|got| got.envelope).collect()
}

/// Returns the kinds of the failures among results, `None` for what succeeded.
fn kinds(results: Vec<Result<(), stratacache::tier::TierError>>) -> Vec<Option<TierErrorKind>> {
    results.into_iter().map(|result| result.err().map(|error| error.kind())).collect()
}

#[tokio::test]
async fn a_life_of_more_than_thirty_days_is_no_date_and_less_than_a_second_is_not_for_ever() {
    let (server, clock) = (Server::start(&[]), ManualClock::new());
    let tier = server.tier("").clock(clock.clone()).connect().await.unwrap();
    let now = clock.wall().as_millis() as Millis;
    let left = |n: u16| server.say(&format!("mg {:032x} t", u32::from(n) + 1));
    let lives = [(hours(31 * 24), "HD t2592000"), (hours(1), "HD t3600"), (Duration::from_millis(400), "HD t1")];
    for (n, (life, seen)) in (0..).zip(lives) {
        let item = PutItem::new(name(n), Bytes::from_static(b"x"), now + life.as_millis() as Millis, None);
        assert!(matches!(put(&tier, vec![item]).await[..], [PutOutcome::Stored]));
        let said = left(n);
        // a second may have passed on the server since
        let passed = |word: &str| word.strip_prefix("HD t").and_then(|left| left.parse::<i64>().ok());
        let late = passed(seen).unwrap() - passed(&said).unwrap_or(i64::MIN / 2);
        assert!((0..=1).contains(&late) || (seen == "HD t1" && said == "EN"), "{life:?}: {said}, not {seen}");
    }
    clock.advance(hours(2));
    let over = PutItem::new(name(0), Bytes::from_static(b"x"), now, None);
    assert!(matches!(put(&tier, vec![over]).await[..], [PutOutcome::Stored]));
    assert_eq!(
        get(&tier, vec![name(0)]).await,
        [None],
        "what has ended takes the place of what was there, and is not there"
    );
}

#[tokio::test]
async fn an_envelope_that_is_too_large_is_refused_alone() {
    let server = Server::start(&["-I", "4m"]);
    let tier = server.tier("").connect().await.unwrap();
    let limit = tier.capability().max_weight as usize;
    // the tier refuses what it knows to be too large, the server what only it knows; the rest of the batch is stored
    for (round, larger) in [limit + 1, 3 << 20].into_iter().enumerate() {
        if round == 1 {
            server.restart_with(&["-I", "1m"]);
        }
        let items = vec![item(0, "a"), item(1, vec![7; larger]), item(2, "c")];
        let outcomes = put(&tier, items).await;
        let seen = &outcomes[..];
        assert!(matches!(seen, [PutOutcome::Stored, PutOutcome::TooLarge, PutOutcome::Stored]), "{seen:?}");
        assert_eq!(get(&tier, names(3)).await, [Some("a".into()), None, Some("c".into())]);
    }
}

#[tokio::test]
async fn a_server_without_room_says_so_of_each_entry_and_stays_in_step() {
    let server = Server::start(&["-M", "-m", "8"]);
    let tier = server.tier("").connect().await.unwrap();
    let envelope = |n: u16| Bytes::from(vec![n as u8; 100_000]);
    let outcomes = put(&tier, (0..200).map(|n| item(n, envelope(n))).collect()).await;
    let full =
        |outcome: &PutOutcome| matches!(outcome, PutOutcome::Failed(error) if error.kind() == TierErrorKind::Full);
    assert!(outcomes.iter().any(full), "200 times 100 kB do not fit into 8 MB");
    for ((n, outcome), got) in (0..).zip(&outcomes).zip(get(&tier, names(200)).await) {
        assert!(full(outcome) || matches!(outcome, PutOutcome::Stored), "{outcome:?}");
        assert_eq!(got, (!full(outcome)).then(|| envelope(n)), "of a full server, entry {n}");
    }
}

#[tokio::test]
async fn what_was_evicted_is_a_miss_and_what_is_left_is_whole() {
    let server = Server::start(&["-m", "8"]);
    let tier = server.tier("").connect().await.unwrap();
    let envelope = |n: u16| Bytes::from(vec![n as u8; 100_000]);
    for outcome in put(&tier, (0..200).map(|n| item(n, envelope(n))).collect()).await {
        assert!(matches!(outcome, PutOutcome::Stored), "{outcome:?}");
    }
    let got = get(&tier, names(200)).await;
    let there = got.iter().flatten().count();
    assert!((1..200).contains(&there), "{there} of 200");
    for (n, got) in (0..).zip(got) {
        assert!(got.is_none_or(|got| got == envelope(n)));
    }
}

#[tokio::test]
async fn a_batch_larger_than_every_buffer_on_the_way_does_not_get_stuck() {
    let server = Server::start(&["-m", "256"]);
    let tier = server.tier("").connect().await.unwrap();
    let envelope = Bytes::from(vec![7; 900_000]);
    let all = async {
        // thousands of requests whose replies nobody can hold back
        put(&tier, (0..60).map(|n| item(n, envelope.clone())).collect()).await;
        let asked: Vec<_> = (0..600).map(|n| name(n % 60)).collect();
        let got = get(&tier, asked).await;
        assert!(got.iter().all(|got| got.as_ref() == Some(&envelope)));
    };
    timeout(support::PATIENCE, all).await.unwrap();
}

#[tokio::test]
async fn the_reply_to_an_operation_that_was_given_up_is_nobody_elses() {
    let server = Server::start(&[]);
    let tier = Arc::new(server.tier("").connections(1).connect().await.unwrap());
    put(&tier, vec![item(0, "zero"), item(1, "one")]).await;
    for n in 0..20 {
        server.freeze();
        let given_up = timeout(Duration::from_millis(1), tier.get_many(GetMany::new(vec![name(0)]))).await;
        assert!(given_up.is_err(), "a frozen server does not answer");
        server.thaw();
        assert_eq!(get(&tier, vec![name(1)]).await, [Some("one".into())], "in round {n}");
    }
}

#[tokio::test]
async fn an_idle_connection_that_a_restart_closed_is_no_failure() {
    let server = Server::start(&[]);
    let tier = server.tier("").connect().await.unwrap();
    for n in 0..5 {
        assert!(matches!(put(&tier, vec![item(n, "x")]).await[..], [PutOutcome::Stored]));
        server.restart();
        match n % 3 {
            0 => assert_eq!(get(&tier, vec![name(n)]).await, [None]),
            1 => assert_eq!(kinds(tier.remove_many(RemoveMany::new(vec![name(n)])).await.unwrap()), [None]),
            _ => tier.ping().await.unwrap(),
        }
    }
    server.kill();
    let away = tier.get_many(GetMany::new(vec![name(0)])).await.unwrap_err();
    assert_eq!(away.kind(), TierErrorKind::Unavailable, "{away}");
}

/// What looks like a Memcached and answers each connection with one script: so many requests are read, then these bytes are
/// sent, and it is closed. The tier numbers its requests from 0 on. The first connection is the tier's question for the largest item.
async fn scripted(scripts: Vec<(usize, &'static [u8])>) -> (Memcached, tokio::task::JoinHandle<()>) {
    const SETTINGS: &[u8] = b"STAT item_size_max 1048576\r\nEND\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = async |mut stream: TcpStream, lines: usize, reply: &[u8]| {
        let mut read = Vec::new();
        while read.iter().filter(|byte| **byte == b'\n').count() < lines {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "the tier asks for more");
        }
        stream.write_all(reply).await.unwrap();
    };
    #[allow(clippy::disallowed_methods)] // the server of a test
    let serving = tokio::spawn(async move {
        for (lines, reply) in [(1, SETTINGS)].into_iter().chain(scripts) {
            answer(listener.accept().await.unwrap().0, lines, reply).await;
        }
    });
    let tier = Memcached::builder(address).prefix("").deadline(seconds(30)).connect().await.unwrap();
    (tier, serving)
}

#[tokio::test]
async fn a_batch_that_was_answered_in_part_says_which_names_failed() {
    const LOST: Option<TierErrorKind> = Some(TierErrorKind::ReplyLost);
    let scripts: Vec<(usize, &[u8])> = vec![
        (4, b"HD O0\r\nNF O1\r\nHD O"),
        (8, b"HD O4\r\nSERVER_ERROR out of memory storing object\r\n"),
        (4, b"EN\r\nVA 3 O9\r\nabc\r\nVA 3 O10\r\nx"),
        (4, b""),
    ];
    let (tier, serving) = scripted(scripts).await;
    let removed = tier.remove_many(RemoveMany::new(names(4))).await.unwrap();
    assert_eq!(kinds(removed), [None, None, LOST, LOST]);

    let outcomes = put(&tier, (0..4).map(|n| item(n, "x")).collect()).await;
    let failed = |at: usize| match &outcomes[at] {
        PutOutcome::Failed(error) => Some(error.kind()),
        _ => None,
    };
    assert!(matches!(outcomes[0], PutOutcome::Stored));
    assert_eq!([failed(1), failed(2), failed(3)], [Some(TierErrorKind::Full), LOST, LOST]);

    assert_eq!(get(&tier, names(4)).await, [None, Some("abc".into()), None, None]);
    let nothing = tier.remove_many(RemoveMany::new(names(4))).await.unwrap_err();
    assert_eq!(nothing.kind(), TierErrorKind::ReplyLost, "of none it is known");
    serving.await.unwrap();
}

#[tokio::test]
async fn replies_that_lie_cost_the_connection_and_little_memory() {
    let lies: [&[u8]; 6] = [
        b"VA 3 O9\r\nabc\r\n",                   // to another request
        b"VA 99999999999 O1\r\nabc\r\n",         // 100 GB
        b"VA 3 O2\r\nabcdef\r\n",                // longer than it says
        b"VA 3 O3\r\nabc\r\nVA 3 O3\r\nabc\r\n", // more than was asked for
        b"ERROR Too many open connections\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ];
    let (tier, serving) = scripted(lies.into_iter().map(|lie| (1, lie)).collect()).await;
    for lie in lies {
        let asked = tier.get_many(GetMany::new(vec![name(0)])).await;
        // a whole reply that something follows is believed, and its connection is not
        match asked {
            Ok(got) => assert_eq!(got[0].envelope.as_deref(), Some(&b"abc"[..]), "{}", String::from_utf8_lossy(lie)),
            Err(error) => assert_eq!(error.kind(), TierErrorKind::ReplyLost),
        }
    }
    serving.await.unwrap();
}

#[tokio::test]
async fn options_that_cannot_be_are_refused_by_name() {
    let server = Server::start(&[]);
    for bad in ["a b", "a\r\nflush_all\r\n", "\u{e4}", &"x".repeat(101)] {
        let refused = server.tier(bad).connect().await.unwrap_err();
        assert!(refused.kind() == ErrorKind::InvalidInput && refused.to_string().contains("prefix"), "{refused}");
    }
    assert_eq!(server.tier("").connections(0).connect().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let (address, _) = (server.address(), server.kill());
    let away = Memcached::connect(address).await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Unavailable, "{away}");
}
