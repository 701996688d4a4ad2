use stratacache::KeyPart;

#[derive(KeyPart)]
struct Range {
    from: u32,
    above: f64,
}

fn main() {}
