use stratacache::KeyPart;

#[derive(KeyPart)]
union Either {
    number: u32,
    bytes: [u8; 4],
}

fn main() {}
