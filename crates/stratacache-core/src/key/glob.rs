//! Patterns over keys, for operators. The time to match grows with the key and with the pattern, never faster.

use std::{fmt, str::FromStr};

use super::{show::Piece, view::KeyView};
use crate::{Error, Result};

/// Elements that a pattern has at most.
const MOST: usize = 256;

/// A pattern over keys as they are [shown](KeyView#impl-Display-for-KeyView<'_>).
///
/// `*` stands for any characters of one part, `**` for anything, parts and what joins them too; `?` for one character, `[a-f]` for one of
/// some, `[!a-f]` for one of the others. `/`, `(`, `)` and `#` stand for what joins parts, never for a character of one, and all else for
/// itself; after `\` so does each of these, and `\u{..}` is a character by its number. So what is shown of a key is a
/// pattern that it matches, and no key can be written so that a pattern of fewer parts matches it.
///
/// ```
/// use stratacache_core::{Glob, Key, KeyView};
///
/// let glob: Glob = "user/*/th?me".parse()?;
/// let matches = |key: Key<()>| KeyView::of(key.as_bytes()).is_some_and(|view| glob.matches(&view));
/// assert!(matches(Key::new(("user", 42, "theme"))));
/// assert!(!matches(Key::new(("user", "42/x", "y", "theme"))), "one part more");
/// assert!(!matches(Key::new("user/42/theme")), "a text is one part, whatever is in it");
/// # Ok::<(), stratacache_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Glob(Vec<Element>);

#[derive(Clone, PartialEq, Eq)]
enum Element {
    Just(Piece),
    /// One character.
    One,
    /// One character of these ranges, or of none of them.
    Class {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
    /// Any characters.
    Star,
    /// Anything.
    All,
}

impl Element {
    fn takes(&self, piece: Piece) -> bool {
        match (self, piece) {
            (Self::Just(just), piece) => *just == piece,
            (Self::One | Self::Star, Piece::Char(_)) | (Self::All, _) => true,
            (Self::Class { ranges, negated }, Piece::Char(c)) => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated
            }
            _ => false,
        }
    }

    fn repeats(&self) -> bool {
        matches!(self, Self::Star | Self::All)
    }
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when a `[` is not closed, has nothing in it or a range that goes
    /// backwards, a `\` or `#` has nothing after it, or there are more than 256 elements.
    pub fn new(pattern: &str) -> Result<Self> {
        let mut rest = pattern.chars().peekable();
        let mut elements: Vec<Element> = Vec::new();
        while let Some(c) = rest.next() {
            let element = match c {
                '*' if rest.next_if_eq(&'*').is_some() => Element::All,
                '*' => Element::Star,
                '?' => Element::One,
                '[' => class(&mut rest)?,
                '/' => Element::Just(Piece::Separator),
                '(' => Element::Just(Piece::Open),
                ')' => Element::Just(Piece::Close),
                '#' => Element::Just(Piece::Variant(index(&mut rest)?)),
                '\\' => Element::Just(Piece::Char(escaped(&mut rest)?)),
                c => Element::Just(Piece::Char(c)),
            };
            let again = element.repeats() && elements.last() == Some(&element);
            if !again {
                elements.push(element);
            }
            if elements.len() > MOST {
                return Err(Error::invalid(format!("a pattern has at most {MOST} elements, this one more")));
            }
        }
        Ok(Self(elements))
    }

    /// Tells whether it matches the whole of a key's own part; of which keyspace the key is does not matter.
    #[must_use]
    pub fn matches(&self, key: &KeyView<'_>) -> bool {
        let mut states = States::new(&self.0);
        key.pieces(&mut |piece| states.feed(piece));
        states.is_end()
    }
}

/// Up to where in the pattern the pieces so far may have come: one flag for each place, so that nothing is ever tried twice.
struct States<'g> {
    elements: &'g [Element],
    here: Vec<bool>,
    next: Vec<bool>,
    alive: bool,
}

impl<'g> States<'g> {
    fn new(elements: &'g [Element]) -> Self {
        let mut here = vec![false; elements.len() + 1];
        here[0] = true;
        let mut states = Self { elements, next: here.clone(), here, alive: true };
        states.skip();
        states
    }

    /// What repeats may also stand for nothing.
    fn skip(&mut self) {
        for (at, element) in self.elements.iter().enumerate() {
            if self.here[at] && element.repeats() {
                self.here[at + 1] = true;
            }
        }
    }

    fn feed(&mut self, piece: Piece) {
        if !self.alive {
            return;
        }
        self.next.fill(false);
        for (at, element) in self.elements.iter().enumerate() {
            if self.here[at] && element.takes(piece) {
                self.next[if element.repeats() { at } else { at + 1 }] = true;
            }
        }
        std::mem::swap(&mut self.here, &mut self.next);
        self.skip();
        self.alive = self.here.contains(&true);
    }

    fn is_end(&self) -> bool {
        self.here[self.elements.len()]
    }
}

type Rest<'p> = std::iter::Peekable<std::str::Chars<'p>>;

fn escaped(rest: &mut Rest<'_>) -> Result<char> {
    let c = rest
        .next()
        .ok_or_else(|| Error::invalid("a pattern ends with a \\ that escapes nothing; write \\\\ for one"))?;
    if c != 'u' || rest.next_if_eq(&'{').is_none() {
        return Ok(c);
    }
    let digits: String = rest.by_ref().take_while(|c| *c != '}').take(8).collect();
    let number = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
    number.ok_or_else(|| Error::invalid("\\u{..} of a pattern is not the number of a character"))
}

fn index(rest: &mut Rest<'_>) -> Result<u32> {
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    let none = |_| Error::invalid("after a # of a pattern comes the index of a variant; write \\# for the character");
    digits.parse().map_err(none)
}

fn class(rest: &mut Rest<'_>) -> Result<Element> {
    let open = || Error::invalid("a [ of a pattern is not closed by ]; write \\[ for the character");
    let negated = rest.next_if(|c| matches!(c, '!' | '^')).is_some();
    let mut ranges = Vec::new();
    loop {
        let one = |rest: &mut Rest<'_>| match rest.next() {
            None => Err(open()),
            Some('\\') => escaped(rest),
            Some(c) => Ok(c),
        };
        if rest.next_if_eq(&']').is_some() {
            break;
        }
        let from = one(rest)?;
        let mut ahead = rest.clone();
        let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
        let to = if is_range {
            rest.next();
            one(rest)?
        } else {
            from
        };
        if to < from {
            return Err(Error::invalid(format!("the range {from:?} to {to:?} of a pattern goes backwards")));
        }
        ranges.push((from, to));
        if ranges.len() > MOST {
            return Err(Error::invalid(format!("a [..] of a pattern has at most {MOST} ranges")));
        }
    }
    if ranges.is_empty() {
        return Err(Error::invalid("a [] of a pattern has nothing in it"));
    }
    Ok(Element::Class { ranges, negated })
}

impl FromStr for Glob {
    type Err = Error;
    fn from_str(pattern: &str) -> Result<Self> {
        Self::new(pattern)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Glob").field("elements", &self.0.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
