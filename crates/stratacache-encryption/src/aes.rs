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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use stratacache_core::encryption::KeyId;

    use super::*;
    use crate::hex;

    fn cipher() -> Box<dyn Cipher> {
        aes_256_gcm_siv(&DataKey::take(KeyId(1), &mut [7; 32])).unwrap()
    }

    #[test]
    fn a_test_vector_of_rfc_8452_is_opened() {
        let mut secret = [0; 32];
        secret[0] = 1;
        let cipher = Aes::new(&secret).unwrap();
        let mut nonce = [0; NONCE];
        nonce[0] = 3;
        let sealed = hex::decode("c2ef328e5c71c83b843122130f7364b761e0b97427e3df28").unwrap();
        let (text, tag) = sealed.split_at(8);
        let mut text = text.to_vec();
        cipher.open(&[], &Sealed { nonce, tag: tag.try_into().unwrap() }, &mut text).unwrap();
        assert_eq!(text, [1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn texts_of_any_length_are_read_back_and_only_in_their_context() {
        let cipher = cipher();
        for length in [0, 1, 15, 16, 17, 1_000, 100_000] {
            let plain: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let mut text = plain.clone();
            let sealed = cipher.seal(b"here", &mut text).unwrap();
            assert!(length < 16 || text != plain);
            let mut elsewhere = text.clone();
            assert_eq!(cipher.open(b"there", &sealed, &mut elsewhere), Err(CipherError));
            cipher.open(b"here", &sealed, &mut text).unwrap();
            assert_eq!(text, plain);
        }
    }

    #[test]
    fn no_two_of_100_000_nonces_are_the_same() {
        let cipher = cipher();
        let nonces: HashSet<_> = (0..100_000).map(|_| cipher.seal(&[], &mut []).unwrap().nonce).collect();
        assert_eq!(nonces.len(), 100_000);
    }

    #[test]
    fn a_text_of_another_key_is_refused() {
        let mut text = *b"text";
        let sealed = cipher().seal(&[], &mut text).unwrap();
        let other = aes_256_gcm_siv(&DataKey::take(KeyId(1), &mut [8; 32])).unwrap();
        assert_eq!(other.open(&[], &sealed, &mut text), Err(CipherError));
    }
}
