use stratacache::{DecodePart, KeyPart};

#[derive(KeyPart)]
struct OneWay(u32);

#[derive(KeyPart, DecodePart)]
struct Page {
    page: u32,
    order: OneWay,
}

fn main() {}
