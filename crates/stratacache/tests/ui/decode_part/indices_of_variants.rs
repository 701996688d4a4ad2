use stratacache::{DecodePart, KeyPart};

#[derive(KeyPart, DecodePart)]
enum Order {
    #[key_part(index = 0)]
    ByName,
    ByAge,
}

fn main() {}
