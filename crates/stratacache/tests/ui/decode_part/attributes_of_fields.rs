use stratacache::{DecodePart, KeyPart, PartDecoder, PartEncoder};

fn bits(value: &f64, parts: &mut PartEncoder) {
    value.to_bits().encode(parts);
}

fn number(parts: &mut PartDecoder<'_>) -> Option<u64> {
    u64::decode(parts)
}

#[derive(KeyPart, DecodePart)]
struct WithoutRead {
    #[key_part(with = bits)]
    above: f64,
}

#[derive(KeyPart, DecodePart)]
struct WithoutWith {
    #[key_part(read = number)]
    above: u64,
}

#[derive(KeyPart, DecodePart)]
struct OfAnotherType {
    #[key_part(with = bits, read = number)]
    above: f64,
}

#[derive(KeyPart, DecodePart)]
#[key_part(read = number)]
struct OnTheType(u64);

#[derive(KeyPart, DecodePart)]
enum OnAVariant {
    #[key_part(read_bound = "T: Copy")]
    One,
}

fn main() {}
