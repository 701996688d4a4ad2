use stratacache::DecodePart;

#[derive(DecodePart)]
union Either {
    number: u32,
    bytes: [u8; 4],
}

fn main() {}
