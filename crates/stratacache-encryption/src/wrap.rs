//! Wrapping data keys.

use std::future::Future;

use stratacache_core::{Result, TenantId};

/// Wraps data keys with a master key, so that they can be kept where others read: [`MasterKeys`](crate::MasterKeys), or a key
/// management service.
///
/// What wrapped bytes look like is the implementor's business; they must say which master key they are wrapped with.
///
/// ```
/// use stratacache_core::{Error, ErrorKind, Result, TenantId};
/// use stratacache_encryption::KeyWrap;
///
/// # struct Client;
/// # impl Client {
/// #     async fn encrypt(&self, _: &str, text: &[u8; 32]) -> std::io::Result<Vec<u8>> { Ok(text.to_vec()) }
/// #     async fn decrypt(&self, _: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> { Ok(bytes.to_vec()) }
/// # }
/// /// Keys wrapped by a service, which authenticates the tenant with them.
/// struct Kms(Client);
///
/// fn unavailable(error: std::io::Error) -> Error {
///     Error::new(ErrorKind::Unavailable, "the key management service does not answer").with_source(error)
/// }
///
/// impl KeyWrap for Kms {
///     async fn wrap(&self, tenant: &TenantId, secret: &[u8; 32]) -> Result<Vec<u8>> {
///         self.0.encrypt(tenant.as_str(), secret).await.map_err(unavailable)
///     }
///     async fn unwrap(&self, tenant: &TenantId, wrapped: &[u8]) -> Result<Box<[u8; 32]>> {
///         let secret = self.0.decrypt(tenant.as_str(), wrapped).await.map_err(unavailable)?;
///         let secret = secret.into_boxed_slice().try_into();
///         secret.map_err(|_| Error::new(ErrorKind::Corrupt, "a data key has 32 bytes"))
///     }
///     fn is_current(&self, _wrapped: &[u8]) -> bool {
///         true // the service rotates its master keys by itself
///     }
/// }
/// ```
pub trait KeyWrap: Send + Sync + 'static {
    /// Wraps a data key, bound to its tenant.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](stratacache_core::ErrorKind::Unavailable) or
    /// [`Timeout`](stratacache_core::ErrorKind::Timeout) when asking later may help.
    ///
    /// # Cancel safety
    /// May be dropped half-way.
    fn wrap(&self, tenant: &TenantId, secret: &[u8; 32]) -> impl Future<Output = Result<Vec<u8>>> + Send;

    /// Returns the data key that was wrapped for this tenant, in a box, which is wiped when it has been taken out of.
    ///
    /// # Errors
    /// As [`wrap`](Self::wrap); [`ErrorKind::Corrupt`](stratacache_core::ErrorKind::Corrupt) for what was not wrapped for this
    /// tenant, or with a master key that is not known.
    ///
    /// # Cancel safety
    /// May be dropped half-way.
    fn unwrap(&self, tenant: &TenantId, wrapped: &[u8]) -> impl Future<Output = Result<Box<[u8; 32]>>> + Send;

    /// Tells whether it is wrapped with the present master key: what is not can be wrapped anew.
    fn is_current(&self, wrapped: &[u8]) -> bool;
}
