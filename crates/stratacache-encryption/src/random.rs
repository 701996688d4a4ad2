//! Random bytes that nobody can guess.

use stratacache_core::{
    Error, ErrorKind, Result,
    encryption::{DataKey, KeyId},
};
use zeroize::Zeroizing;

pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| Error::new(ErrorKind::Internal, "the system gives no random bytes"))
}

/// Makes a data key.
pub(crate) fn data_key() -> Result<DataKey> {
    let mut id = [0; 8];
    fill(&mut id)?;
    let mut secret = Zeroizing::new([0; 32]);
    fill(&mut *secret)?;
    Ok(DataKey::take(KeyId(u64::from_le_bytes(id)), &mut secret))
}
