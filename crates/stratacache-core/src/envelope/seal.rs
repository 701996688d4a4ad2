//! Encrypted envelopes: the head and the scopes of the tags stay readable and are authenticated; key, ETag and body are encrypted.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    EnvelopeError, FLAG_SEALED, HEAD, Head, MAGIC, TAIL, VERSION, VERSION_WITH_KEY,
    decode::{frame, head_of},
};
use crate::encryption::{Cipher, CipherError, KeyId, NONCE, Sealed, TAG};

/// How many bytes an encrypted envelope is longer than the same one in the clear: key id, nonce and authentication tag.
pub const SEAL: usize = 8 + NONCE + TAG;

/// Where the flags lie.
const FLAGS_AT: usize = 3;
/// Told apart from whatever else a key may authenticate.
const DOMAIN: &[u8] = b"strata envelope 1";

/// What is authenticated beside the text: the place it belongs to, and everything of the envelope that stays readable.
fn context_of(place: &[u8], readable: &[u8], key: KeyId) -> Vec<u8> {
    let length = (place.len() as u64).to_le_bytes();
    [DOMAIN, &length, place, readable, &key.0.to_le_bytes()].concat()
}

/// Encrypts an envelope that [`encode`](super::encode) wrote.
///
/// `place` says where it belongs, and is authenticated: whoever opens it must name the same. An engine names tenant, tier and
/// entry.
///
/// # Errors
/// [`EnvelopeError::NotOurs`] for what is no envelope in the clear; [`EnvelopeError::Unauthentic`] when the cipher fails.
pub fn seal(plain: &Bytes, place: &[u8], key: KeyId, cipher: &dyn Cipher) -> Result<Bytes, EnvelopeError> {
    let frame = frame(plain)?;
    if frame.sealed {
        return Err(EnvelopeError::Sealed);
    }
    let readable_end = HEAD + frame.tags * 16;
    let text_at = readable_end + 8 + NONCE;
    let mut out = Vec::with_capacity(plain.len() + SEAL);
    out.extend_from_slice(&plain[..readable_end]);
    out[FLAGS_AT] |= FLAG_SEALED;
    out.extend_from_slice(&key.0.to_le_bytes());
    out.extend_from_slice(&[0; NONCE]);
    out.extend_from_slice(&plain[readable_end..readable_end + frame.text()]);
    let context = context_of(place, &out[..readable_end], key);
    let Sealed { nonce, tag } =
        cipher.seal(&context, &mut out[text_at..]).map_err(|CipherError| EnvelopeError::Unauthentic)?;
    out[text_at - NONCE..text_at].copy_from_slice(&nonce);
    out.extend_from_slice(&tag);
    let sum = xxh3_64(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    Ok(out.into())
}

/// Returns the key that an envelope says it was encrypted with, without judging it; `None` for one in the clear.
#[must_use]
pub fn sealed_by(bytes: &Bytes) -> Option<KeyId> {
    let fixed = bytes.first_chunk::<HEAD>()?;
    let sealed =
        fixed[..2] == MAGIC && matches!(fixed[2], VERSION | VERSION_WITH_KEY) && fixed[FLAGS_AT] & FLAG_SEALED != 0;
    let at = HEAD + (usize::from(fixed[6]) + usize::from(fixed[7])) * 16;
    let id = bytes.get(at..at + 8).filter(|_| sealed)?;
    Some(KeyId(u64::from_le_bytes(id.try_into().ok()?)))
}

/// Decrypts an envelope into its head and body.
///
/// # Errors
/// [`EnvelopeError::NotSealed`] for one in the clear; [`EnvelopeError::Unauthentic`] when it was not sealed so, for this place
/// and with this key; the errors of [`decode`](super::decode).
pub fn open(bytes: &Bytes, place: &[u8], cipher: &dyn Cipher) -> Result<(Head, Bytes), EnvelopeError> {
    let frame = frame(bytes)?;
    if !frame.sealed {
        return Err(EnvelopeError::NotSealed);
    }
    let readable_end = HEAD + frame.tags * 16;
    let text_at = readable_end + 8 + NONCE;
    let text_end = text_at + frame.text();
    debug_assert_eq!(text_end + TAG + TAIL, bytes.len());
    let array = |at: usize| -> [u8; NONCE] { std::array::from_fn(|i| bytes[at + i]) };
    let key = KeyId(u64::from_le_bytes(std::array::from_fn(|i| bytes[readable_end + i])));
    let seal = Sealed { nonce: array(text_at - NONCE), tag: std::array::from_fn(|i| bytes[text_end + i]) };
    let mut text = bytes[text_at..text_end].to_vec();
    let context = context_of(place, &bytes[..readable_end], key);
    cipher.open(&context, &seal, &mut text).map_err(|CipherError| EnvelopeError::Unauthentic)?;
    let text = Bytes::from(text);
    let body_at = frame.key + frame.etag;
    let head = head_of(bytes, text.slice(..frame.key), &text[frame.key..body_at])?;
    Ok((head, text.slice(body_at..)))
}
