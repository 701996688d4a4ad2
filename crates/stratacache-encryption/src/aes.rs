//! AES-256-GCM-SIV (RFC 8452), of aws-lc.
//!
//! Nodes encrypt under one key without knowing of each other, so their nonces are random. With 96 bits two will be the same
//! some day: plain GCM then gives away its authentication key, GCM-SIV only that two texts were the same.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use stratacache_core::{
    Error, ErrorKind, Result,
    encryption::{Cipher, CipherError, DataKey, NONCE, Sealed, TAG},
};

use crate::random;

pub(crate) struct Aes(LessSafeKey);

impl Aes {
    pub(crate) fn new(secret: &[u8; 32]) -> Result<Self> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, secret)
            .map_err(|_| Error::new(ErrorKind::Internal, "the library of ciphers refuses a key of 32 bytes"))?;
        Ok(Self(LessSafeKey::new(key)))
    }
}

impl Cipher for Aes {
    fn seal(&self, context: &[u8], text: &mut [u8]) -> Result<Sealed, CipherError> {
        let mut nonce = [0; NONCE];
        random::fill(&mut nonce).map_err(|_| CipherError)?;
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), text)
            .map_err(|_| CipherError)?;
        let tag: [u8; TAG] = tag.as_ref().try_into().map_err(|_| CipherError)?;
        Ok(Sealed { nonce, tag })
    }

    fn open(&self, context: &[u8], sealed: &Sealed, text: &mut [u8]) -> Result<(), CipherError> {
        let nonce = Nonce::assume_unique_for_key(sealed.nonce);
        let opened = self.0.open_in_place_separate_tag(nonce, Aad::from(context), &sealed.tag, text);
        opened.map(drop).map_err(|_| CipherError)
    }
}

/// Makes the cipher AES-256-GCM-SIV (RFC 8452) of a data key.
///
/// Give it to [`Encryption::new`](stratacache_core::encryption::Encryption::new) with a key provider of your own.
///
/// # Errors
/// None is expected: every 32 bytes are a key.
pub fn aes_256_gcm_siv(key: &DataKey) -> Result<Box<dyn Cipher>> {
    Ok(Box::new(Aes::new(key.secret())?))
}
