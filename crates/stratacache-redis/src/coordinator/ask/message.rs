//! The bytes of questions and answers. Whoever may publish can send anything: what has another form is no message.

use stratacache_core::{
    Scope,
    coordinator::{Answer, Finding, Question, ScopeKind},
    stamp::{Incarnation, Lane, Position},
};

/// The form of both.
const VERSION: u8 = 1;
/// The bytes of a question.
const QUESTION: usize = 67;
/// The bytes of an answer.
const ANSWER: usize = 26;

/// A question on its way: who asks, and the number it has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) asker: u64,
    pub(super) number: u64,
    pub(super) question: Question,
}

/// Reads numbers off bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

impl Asked {
    pub(super) fn write(&self) -> Vec<u8> {
        let Question { lane, position, scope, kind, tenant, bound, .. } = self.question;
        let kind = match kind {
            ScopeKind::Key => 0,
            ScopeKind::Tag => 1,
            ScopeKind::Namespace => 2,
        };
        let mut bytes = Vec::with_capacity(QUESTION);
        bytes.push(VERSION);
        bytes.extend(self.asker.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.push(lane.index() as u8);
        bytes.extend(position.incarnation.0.to_le_bytes());
        bytes.extend(position.seq.to_le_bytes());
        bytes.extend(scope.to_bytes());
        bytes.push(kind);
        bytes.extend(tenant.to_le_bytes());
        bytes.extend(bound.to_le_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if bytes.len() != QUESTION || reader.byte()? != VERSION {
            return None;
        }
        let (asker, number) = (reader.number()?, reader.number()?);
        let lane = Lane::from_index(usize::from(reader.byte()?))?;
        let position = Position { incarnation: Incarnation(reader.number()?), seq: reader.number()? };
        let scope = Scope::from_bytes(reader.take()?);
        let kind = match reader.byte()? {
            0 => ScopeKind::Key,
            1 => ScopeKind::Tag,
            2 => ScopeKind::Namespace,
            _ => return None,
        };
        let question = Question::new(lane, position, scope, kind, reader.number()?, reader.number()?);
        Some(Self { asker, number, question })
    }
}

/// Writes the answer to the question with a number.
pub(super) fn write_answer(number: u64, answer: Answer) -> Option<Vec<u8>> {
    let (kind, stamp) = match answer.finding {
        Finding::Nothing => (0, 0),
        Finding::OtherHistory => (1, 0),
        Finding::Served(stamp) => (2, stamp),
        _ => return None, // it has no form yet
    };
    let mut bytes = Vec::with_capacity(ANSWER);
    bytes.push(VERSION);
    bytes.extend(number.to_le_bytes());
    bytes.extend(answer.peer.to_le_bytes());
    bytes.push(kind);
    bytes.extend(stamp.to_le_bytes());
    Some(bytes)
}

/// Reads an answer, and the number of the question.
pub(super) fn read_answer(bytes: &[u8]) -> Option<(u64, Answer)> {
    let mut reader = Reader(bytes);
    if bytes.len() != ANSWER || reader.byte()? != VERSION {
        return None;
    }
    let (number, peer) = (reader.number()?, reader.number()?);
    let finding = match (reader.byte()?, reader.number()?) {
        (0, 0) => Finding::Nothing,
        (1, 0) => Finding::OtherHistory,
        (2, stamp) => Finding::Served(stamp),
        _ => return None,
    };
    Some((number, Answer::new(peer, finding)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(kind: ScopeKind) -> Asked {
        let position = Position { incarnation: Incarnation(u64::MAX - 1), seq: 7 };
        let question = Question::new(Lane::GLOBAL, position, Scope::from_bytes([9; 16]), kind, 3, 1_000);
        Asked { asker: 1, number: u64::MAX, question }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for kind in [ScopeKind::Key, ScopeKind::Tag, ScopeKind::Namespace] {
            let bytes = asked(kind).write();
            assert_eq!(bytes.len(), QUESTION);
            assert_eq!(Asked::read(&bytes), Some(asked(kind)));
        }
        for finding in [Finding::Nothing, Finding::OtherHistory, Finding::Served(5)] {
            let bytes = write_answer(4, Answer::new(2, finding)).unwrap();
            assert_eq!(bytes.len(), ANSWER);
            assert_eq!(read_answer(&bytes), Some((4, Answer::new(2, finding))));
        }
    }

    #[test]
    fn what_has_another_form_is_no_message() {
        let question = asked(ScopeKind::Tag).write();
        let answer = write_answer(4, Answer::new(2, Finding::Nothing)).unwrap();
        for length in 0..200 {
            let zeros = vec![VERSION; length];
            assert!(length == QUESTION || Asked::read(&zeros).is_none());
            assert!(length == ANSWER || read_answer(&zeros).is_none());
        }
        let with = |bytes: &[u8], at: usize, byte: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] = byte;
            bytes
        };
        assert_eq!(Asked::read(&with(&question, 0, 2)), None, "another version");
        assert_eq!(Asked::read(&with(&question, 17, 17)), None, "no such lane");
        assert_eq!(Asked::read(&with(&question, 50, 3)), None, "no such kind");
        assert_eq!(read_answer(&with(&answer, 0, 0)), None, "another version");
        assert_eq!(read_answer(&with(&answer, 17, 3)), None, "no such finding");
        assert_eq!(read_answer(&with(&answer, 18, 1)), None, "nothing has no stamp");
    }
}
