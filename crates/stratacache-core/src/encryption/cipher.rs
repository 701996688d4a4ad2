//! What encrypts and authenticates with one key.

use std::fmt;

use super::DataKey;
use crate::Result;

/// Bytes of a nonce.
pub const NONCE: usize = 12;
/// Bytes of an authentication tag.
pub const TAG: usize = 16;

/// What is kept beside an encrypted text: neither of it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The nonce, which the cipher chose.
    pub nonce: [u8; NONCE],
    /// The tag, which authenticates the text and its context.
    pub tag: [u8; TAG],
}

/// An authenticated cipher with associated data (RFC 5116), holding one key.
///
/// It must stay safe for as many texts as one key ever encrypts, however many nodes do so without knowing of each other.
pub trait Cipher: Send + Sync + 'static {
    /// Encrypts a text where it lies, and authenticates it together with its context. The nonce is the cipher's to choose.
    ///
    /// # Errors
    /// [`CipherError`] when there are no random bytes to be had, or the text is longer than the cipher can take.
    fn seal(&self, context: &[u8], text: &mut [u8]) -> Result<Sealed, CipherError>;

    /// Decrypts a text where it lies.
    ///
    /// # Errors
    /// [`CipherError`] when text, context, nonce or tag are not those that were sealed together with this key. What the
    /// text holds then must not be used.
    fn open(&self, context: &[u8], sealed: &Sealed, text: &mut [u8]) -> Result<(), CipherError>;
}

/// Makes the cipher of a data key.
///
/// # Errors
/// Whatever the cipher's library reports; none is expected of a key of 32 bytes.
pub type MakeCipher = fn(&DataKey) -> Result<Box<dyn Cipher>>;

/// Says that something could not be encrypted or is not authentic; on purpose not why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CipherError;

impl fmt::Display for CipherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not sealed with this key in this context")
    }
}

impl std::error::Error for CipherError {}
