use stratacache::{DecodePart, KeyPart};

#[derive(KeyPart, DecodePart)]
struct Name<'a>(&'a str);

#[derive(KeyPart, DecodePart)]
struct Pair<'a, T> {
    first: T,
    second: &'a T,
}

fn main() {}
