use stratacache::KeyPart;

#[derive(KeyPart)]
enum Order {
    #[key_part(index = 0)]
    ByName,
    ByAge,
}

#[derive(KeyPart)]
enum Kind {
    #[key_part(index = 1)]
    Small,
    #[key_part(index = 1)]
    Large,
}

fn main() {}
