use zeroize::Zeroizing;

use crate::types::{Error, Result};

/// What a cell holds, as the bytes that are sealed. The length of a cell tells the length of its content: dates and
/// small enumerations say more by it than they hide.
///
/// Implementations: texts, bytes, whole numbers and JSON.
pub trait Content: Sized {
    /// The bytes.
    fn to_bytes(&self) -> Zeroizing<Vec<u8>>;

    /// Back from the bytes.
    fn from_bytes(bytes: &[u8]) -> Result<Self>;

    /// As it is handed out to whom it is about.
    fn to_json(&self) -> serde_json::Value;

    /// From the text that stood in a column before it was sealed.
    fn from_text(text: &str) -> Result<Self>;
}

impl Content for String {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.as_bytes().to_vec())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_utf8(bytes.to_vec()).map_err(Error::internal)
    }

    fn to_json(&self) -> serde_json::Value {
        self.as_str().into()
    }

    fn from_text(text: &str) -> Result<Self> {
        Ok(text.to_owned())
    }
}

impl Content for Vec<u8> {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.clone())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(bytes.to_vec())
    }

    fn to_json(&self) -> serde_json::Value {
        data_encoding::HEXUPPER.encode(self).into()
    }

    fn from_text(text: &str) -> Result<Self> {
        Ok(text.as_bytes().to_vec())
    }
}

/// Eight bytes, so that its length says nothing.
impl Content for i64 {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.to_be_bytes().to_vec())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self::from_be_bytes).map_err(Error::internal)
    }

    fn to_json(&self) -> serde_json::Value {
        (*self).into()
    }

    fn from_text(text: &str) -> Result<Self> {
        text.parse().map_err(Error::internal)
    }
}

impl Content for serde_json::Value {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.to_string().into_bytes())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(Error::internal)
    }

    fn to_json(&self) -> serde_json::Value {
        self.clone()
    }

    fn from_text(text: &str) -> Result<Self> {
        Self::from_bytes(text.as_bytes())
    }
}
