use stratacache::KeyPart;

#[derive(KeyPart)]
#[key_part(index = 1)]
struct Numbered(u32);

#[derive(KeyPart)]
#[key_part(transparent)]
struct Pair(u32, u32);

#[derive(KeyPart)]
#[key_part(transparent)]
enum Order {
    ByName,
}

#[derive(KeyPart)]
struct Page {
    page: u32,
    #[key_part(skip)]
    note: String,
}

#[derive(KeyPart)]
enum Kind {
    #[key_part(indx = 1)]
    Small,
}

fn main() {}
