//! A process that writes is killed at random points; what it acknowledged must be there.
//!
//! The writer is this test program itself, started again with `STRATA_DISK_WRITER` set. 20 kills by default,
//! `STRATA_KILLS=200` for the long form.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a helper that fails ends the test; seeds are printed

mod common;

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use common::{NEVER, content, mark, name, open, seed, segment_bytes, small, version_of};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use stratacache_core::tier::{PutItem, PutMany, PutOutcome, RemoveMany, Tier as _};

const NAMES: u64 = 300;
const WRITER: &str = "STRATA_DISK_WRITER";

/// What the writer said of a name last: the version it was about to write and the one it had written; 0 is a removal.
#[derive(Debug, Default, Clone, Copy)]
struct Said {
    began: u64,
    done: u64,
}

/// The writer. Before each operation it says what it is about to do, and after it that it is done.
#[test]
fn writer() {
    // a process that the test below starts; among the tests it has nothing to do
    let Ok(arguments) = std::env::var(WRITER) else { return };
    let [seed, capacity, path] = arguments.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{arguments}") };
    let mut rng = StdRng::seed_from_u64(seed.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let disk = open(small(path.as_ref()).capacity(capacity.parse().unwrap())).await;
        let snapshot = disk.journal.load().unwrap();
        let mut out = std::io::stdout().lock();
        let mut say = |line: String| out.write_all(format!("\n@ {line}\n").as_bytes()).unwrap();
        // versions go on from run to run, and so do positions
        let mut version = snapshot.ceiling;
        let mut reserved = snapshot.ceiling;
        loop {
            if version + 100 > reserved {
                reserved = version + 1_000;
                disk.journal.reserve(reserved).unwrap();
            }
            version += 1;
            match rng.random_range(0..10) {
                0..=5 => {
                    let names: Vec<u64> = (0..rng.random_range(1..6)).map(|_| rng.random_range(0..NAMES)).collect();
                    for n in &names {
                        say(format!("began {n} {version}"));
                    }
                    let length = rng.random_range(16..3_000);
                    let items = names
                        .iter()
                        .map(|n| PutItem::new(name(*n), content(*n, version, length), NEVER, None))
                        .collect();
                    let outcomes = disk.tier.put_many(PutMany::new(items)).await.unwrap();
                    assert!(outcomes.iter().all(|outcome| matches!(outcome, PutOutcome::Stored)));
                    for n in &names {
                        say(format!("done {n} {version}"));
                    }
                }
                6..=7 => {
                    let n = rng.random_range(0..NAMES);
                    say(format!("began {n} 0"));
                    let names = vec![name(n)];
                    assert!(disk.tier.remove_many(RemoveMany::new(names)).await.unwrap()[0].is_ok());
                    say(format!("done {n} 0"));
                }
                8 => {
                    let message = mark(version, version % 40, version, snapshot.incarnation);
                    disk.journal.append(&message).unwrap();
                    say(format!("mark {} {version}", version % 40));
                }
                _ => {
                    disk.journal.tick(version, 0).unwrap();
                    say(format!("time 0 {version}"));
                }
            }
        }
    });
}

#[tokio::test]
async fn what_a_killed_process_acknowledged_is_there_and_nothing_is_torn_or_back() {
    // room for everything: nothing is evicted, so that nothing may be missing
    kill_again_and_again(1 << 30, true).await;
}

#[tokio::test]
async fn what_a_process_killed_while_it_evicts_acknowledged_is_never_back() {
    kill_again_and_again(1 << 20, false).await;
}

async fn kill_again_and_again(capacity: u64, all_there: bool) {
    let kills: u64 = std::env::var("STRATA_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut said: HashMap<u64, Said> = HashMap::new();
    let mut marks: HashMap<u64, u64> = HashMap::new();
    let (mut time, mut lines_seen, mut alive_seen, mut incarnation) = (0, 0, 0, None);
    for round in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["writer", "--exact", "--nocapture", "--test-threads=1"])
            .env(WRITER, format!("{} {capacity} {}", seed + round, dir.path().to_str().unwrap()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // killed once it has said so many things: the kill itself then strikes anywhere
        let until = rng.random_range(1..1_500);
        let mut heard = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some(line) = line.strip_prefix("@ ") else { continue };
            let words: Vec<&str> = line.split(' ').collect();
            // the last line may be cut off
            let [verb, n, number] = words[..] else { break };
            let (Ok(n), Ok(number)) = (n.parse::<u64>(), number.parse::<u64>()) else { break };
            match verb {
                "began" => said.entry(n).or_default().began = number,
                "done" => said.entry(n).or_default().done = number,
                "mark" => drop(marks.insert(n, number)),
                "time" => time = number,
                other => panic!("{other}"),
            }
            heard += 1;
            if heard == until {
                // what it says from here on is still read: it was acknowledged too
                child.kill().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert!(heard >= until, "seed {seed}, round {round}: the writer ended by itself: {status}");
        lines_seen += heard;

        assert!(segment_bytes(dir.path()) <= capacity);
        let disk = open(small(dir.path()).capacity(capacity)).await;
        let snapshot = disk.journal.load().unwrap();
        assert_eq!(*incarnation.get_or_insert(snapshot.incarnation), snapshot.incarnation, "seed {seed}: opened empty");
        for (n, Said { began, done }) in &mut said {
            let found = disk.get(*n).await.map(|bytes| version_of(*n, &bytes));
            let version = found.unwrap_or(0);
            let allowed = version == *began || version == *done || (!all_there && found.is_none());
            assert!(allowed, "seed {seed}, round {round}: name {n} has {found:?}, began {began}, done {done}");
            alive_seen += u64::from(found.is_some());
            (*began, *done) = (version, version);
        }
        for (tag, seq) in &marks {
            let kept = snapshot.marks.iter().find(|mark| mark.scope.to_bytes()[..8] == tag.to_le_bytes());
            let kept = kept.unwrap_or_else(|| panic!("seed {seed}, round {round}: the mark of tag {tag} is lost"));
            assert!(kept.seq >= *seq && kept.seq < snapshot.ceiling, "seed {seed}, round {round}");
        }
        assert!(snapshot.time >= time, "seed {seed}, round {round}");
        assert!(snapshot.marks.iter().all(|mark| mark.seq < snapshot.ceiling));
        drop(disk);
    }
    println!("{kills} kills, {lines_seen} acknowledgements, {alive_seen} values checked");
    assert!(alive_seen > kills * 20, "too little was written to mean anything");
}
