//! The newest token of each tenant, for the reads of other nodes that ask `Since` it.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use stratacache::Token;
use stratacache_core::stamp::{Incarnation, Lane, Position};

const SLOT: usize = 32;

/// A file with a slot for each tenant, which every node writes.
#[derive(Debug)]
pub(super) struct Board(File);

impl Board {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        File::options().read(true).write(true).create(true).truncate(false).open(folder.join("board")).map(Self)
    }

    pub(super) fn write(&self, tenant: u32, token: &Token) -> io::Result<()> {
        let (lane, position) = (token.lane().index() as u64, token.position());
        let words = [lane + 1, position.incarnation.0, position.seq];
        let mut bytes = [0; SLOT];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words.into_iter().chain([sum(words)])) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        self.0.write_all_at(&bytes, offset(tenant))
    }

    /// Returns a token; none while there is none, or while half of one is written.
    pub(super) fn read(&self, tenant: u32) -> Option<Token> {
        let mut bytes = [0; SLOT];
        self.0.read_exact_at(&mut bytes, offset(tenant)).ok()?;
        let mut words = [0; 4];
        for (word, from) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(from.try_into().ok()?);
        }
        let [lane, incarnation, seq, check] = words;
        let lane = Lane::from_index(usize::try_from(lane.checked_sub(1)?).ok()?)?;
        let position = Position { incarnation: Incarnation(incarnation), seq };
        (check == sum([words[0], incarnation, seq])).then(|| Token::new(lane, position))
    }
}

fn offset(tenant: u32) -> u64 {
    u64::from(tenant) * SLOT as u64
}

fn sum(words: [u64; 3]) -> u64 {
    words.iter().fold(1, |sum, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_half_a_token_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let board = Board::open(folder.path()).unwrap();
        assert_eq!(board.read(2), None);
        let lane = Lane::from_index(0).unwrap();
        let token = Token::new(lane, Position { incarnation: Incarnation(7), seq: 8 });
        board.write(2, &token).unwrap();
        assert_eq!((board.read(2), board.read(1)), (Some(token), None));
        board.0.write_all_at(&[9], offset(2) + 16).unwrap();
        assert_eq!(board.read(2), None);
    }
}
