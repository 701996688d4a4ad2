//! The isolation boundary.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{Error, Result};

/// Longest tenant id in bytes.
pub const MAX_TENANT_ID: usize = 64;

/// Begins with a dot, so it is nobody's.
const GLOBAL: &str = ".global";

/// Names a tenant: 1 to 64 bytes of `[A-Za-z0-9._-]` without a leading dot.
///
/// Validated once, when it is made; there is no default tenant. Ids are compared byte for byte: `Acme` and `acme`
/// are two tenants.
///
/// ```
/// use stratacache_core::TenantId;
///
/// let acme = TenantId::parse("acme")?;
/// assert_eq!(acme.as_str(), "acme");
/// assert!(TenantId::parse("../etc").is_err());
/// assert_eq!(TenantId::from(42_u64).as_str(), "42");
/// # Ok::<(), stratacache_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Checks and makes a tenant id.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that names the rule which the text breaks.
    pub fn parse(text: impl AsRef<str>) -> Result<Self> {
        let text = text.as_ref();
        let shown = || text.chars().take(MAX_TENANT_ID).flat_map(char::escape_default).collect::<String>();
        if text.is_empty() {
            return Err(Error::invalid("a tenant id cannot be empty; there is no default tenant"));
        }
        if text.len() > MAX_TENANT_ID {
            return Err(Error::invalid(format!(
                "a tenant id has at most {MAX_TENANT_ID} bytes, this one {}",
                text.len()
            )));
        }
        if text.starts_with('.') {
            return Err(Error::invalid(format!("tenant id \"{}\" begins with a dot", shown())));
        }
        if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
            return Err(Error::invalid(format!(
                "tenant id \"{}\" contains {bad:?}; allowed are A-Z a-z 0-9 . _ -",
                shown()
            )));
        }
        Ok(Self(text.into()))
    }

    /// Returns the id under which data of no tenant is kept; no text parses to it.
    #[must_use]
    pub fn global() -> Self {
        Self(GLOBAL.into())
    }

    /// Tells whether this is the id of data of no tenant.
    #[must_use]
    pub fn is_global(&self) -> bool {
        &*self.0 == GLOBAL
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u64> for TenantId {
    fn from(id: u64) -> Self {
        Self(id.to_string().into())
    }
}

#[cfg(feature = "uuid")]
impl From<uuid::Uuid> for TenantId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.hyphenated().to_string().into())
    }
}

impl FromStr for TenantId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({})", self.0)
    }
}

impl serde::Serialize for TenantId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for TenantId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_outside_the_alphabet_are_refused_with_the_reason() {
        for bad in ["", ".", ".hidden", "../etc", "a/b", "a b", "a:b", "a\0", "a\r\n", "{x}", "ä", "a*", "e\u{301}"] {
            let error = TenantId::parse(bad).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput, "{bad:?}");
        }
        assert!(TenantId::parse("x".repeat(65)).unwrap_err().to_string().contains("64"));
        assert!(TenantId::parse("x".repeat(1 << 20)).is_err());
    }

    #[test]
    fn ids_are_compared_byte_for_byte() {
        assert_ne!(TenantId::parse("Acme").unwrap(), TenantId::parse("acme").unwrap());
        assert_eq!(TenantId::from(1_u64), TenantId::parse("1").unwrap());
        assert!(TenantId::parse("a.b_c-9").is_ok());
    }
}
