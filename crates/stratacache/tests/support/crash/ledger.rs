//! What the killed processes said in time: a file that outlives them, one write for each line.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
};

use super::world::SCOPES;

/// The end that a process writes to.
pub struct Ledger(File);

impl Ledger {
    pub fn open(path: &Path) -> Self {
        Self(OpenOptions::new().create(true).append(true).open(path).expect("the ledger opens"))
    }

    /// Says that an invalidation is about to be called.
    pub fn called(&self, scope: u32, version: u64) {
        self.write(&format!("C {scope} {version}"));
    }

    /// Says that it has returned: from here on nothing older may be served.
    pub fn returned(&self, scope: u32, version: u64) {
        self.write(&format!("R {scope} {version}"));
    }

    /// Says that so many more values were served and judged.
    pub fn served(&self, values: u64) {
        self.write(&format!("S {values} 0"));
    }

    /// Says what must not be.
    pub fn fault(&self, what: &str) {
        self.write(&format!("F {what}"));
    }

    fn write(&self, line: &str) {
        // in a frame: a line that the kill cut off says nothing, and does not spoil the next one
        let mut file = &self.0;
        file.write_all(format!("\n{line};").as_bytes()).expect("the ledger takes lines");
    }
}

/// What the ledger says.
pub struct Told {
    /// The newest version of each scope whose invalidation has returned.
    pub returned: Vec<u64>,
    pub invalidations: u64,
    /// Invalidations that had been called but had not returned when a kill struck.
    pub cut_off: u64,
    pub served: u64,
    pub faults: Vec<String>,
}

impl Told {
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut told = Self { returned: vec![0; SCOPES], invalidations: 0, cut_off: 0, served: 0, faults: Vec::new() };
        let mut called = 0;
        for line in text.lines().filter_map(|line| line.strip_suffix(';')) {
            if let Some(fault) = line.strip_prefix("F ") {
                told.faults.push(fault.to_owned());
                continue;
            }
            let words: Vec<&str> = line.split(' ').collect();
            let [verb, first, version] = words[..] else { panic!("a line of the ledger is odd: {line:?}") };
            let number = |word: &str| word.parse::<u64>().expect("a number in the ledger");
            let (first, version) = (number(first), number(version));
            match verb {
                "C" => called += 1,
                "R" => {
                    told.invalidations += 1;
                    let newest = &mut told.returned[first as usize];
                    *newest = version.max(*newest);
                }
                "S" => told.served += first,
                other => panic!("a line of the ledger begins with {other:?}"),
            }
        }
        told.cut_off = called - told.invalidations;
        told
    }
}
