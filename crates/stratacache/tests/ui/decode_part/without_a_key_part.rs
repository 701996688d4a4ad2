use stratacache::DecodePart;

#[derive(DecodePart)]
struct Page(u32);

fn main() {}
