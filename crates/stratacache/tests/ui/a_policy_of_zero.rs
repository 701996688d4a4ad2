use stratacache::{Keyspace, Policy, seconds};

const BROKEN: Keyspace<u32, String> = Keyspace::new("broken", Policy::ttl(seconds(0)));

fn main() {
    let _ = BROKEN.key(&1);
}
