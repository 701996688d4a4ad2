//! Parts of keys as JSON.

use serde_json::Value;

use crate::{Error, Result, key::PartEncoder};

/// Parts nest no deeper.
const MAX_DEPTH: usize = 16;

/// Encodes the part that a JSON value stands for, as the Rust value of the same meaning is.
pub(super) fn encode(value: &Value, into: &mut PartEncoder) -> Result<()> {
    at_depth(value, into, 0)
}

fn at_depth(value: &Value, into: &mut PartEncoder, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid(format!("parts nest at most {MAX_DEPTH} levels")));
    }
    match value {
        Value::Null => into.variant(0, |_| {}),
        Value::Bool(value) => into.boolean(*value),
        Value::String(text) => into.text(text),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(n), _) => into.unsigned(n.into()),
            (None, Some(n)) => into.signed(n.into()),
            (None, None) => {
                return Err(Error::invalid(
                    "a number in a part must be a whole one of 64 bits; cast the column to bigint or to text",
                ));
            }
        },
        Value::Array(parts) => {
            let mut result = Ok(());
            into.group(|group| result = all(parts, group, depth));
            result?;
        }
        Value::Object(fields) => {
            let mut fields = fields.iter();
            let (Some((kind, value)), None) = (fields.next(), fields.next()) else {
                return Err(Error::invalid(KINDS));
            };
            special(kind, value, into, depth)?;
        }
    }
    Ok(())
}

const KINDS: &str =
    "a part that is an object has one field: \"some\", \"unit\", \"variant\", \"bytes\", \"uuid\" or \"encoded\"";

fn special(kind: &str, value: &Value, into: &mut PartEncoder, depth: usize) -> Result<()> {
    match (kind, value) {
        ("some", value) => {
            let mut result = Ok(());
            into.variant(1, |fields| result = at_depth(value, fields, depth + 1));
            result
        }
        ("unit", Value::Null) => {
            into.unit();
            Ok(())
        }
        ("variant", Value::Array(parts)) => {
            let index = parts.first().and_then(Value::as_u64).and_then(|index| u32::try_from(index).ok());
            let index = index.ok_or_else(|| Error::invalid("a \"variant\" begins with its index, 0 to 4294967295"))?;
            let mut result = Ok(());
            into.variant(index, |fields| result = all(&parts[1..], fields, depth));
            result
        }
        ("bytes", Value::String(text)) => {
            into.bytes(&hex(text)?);
            Ok(())
        }
        ("uuid", Value::String(text)) => {
            let digits: String = text.chars().filter(|c| *c != '-').take(33).collect();
            let id = hex(&digits)?;
            let id: [u8; 16] = id.try_into().map_err(|_| Error::invalid("a \"uuid\" has 32 hexadecimal digits"))?;
            into.uuid_bytes(&id);
            Ok(())
        }
        ("encoded", Value::String(text)) => {
            into.raw(&hex(text)?);
            Ok(())
        }
        _ => Err(Error::invalid(KINDS)),
    }
}

fn all(parts: &[Value], into: &mut PartEncoder, depth: usize) -> Result<()> {
    parts.iter().try_for_each(|part| at_depth(part, into, depth + 1))
}

/// Reads bytes from hexadecimal digits, with `\x` before them as Postgres writes them, or without.
fn hex(text: &str) -> Result<Vec<u8>> {
    let digits = text.strip_prefix("\\x").unwrap_or(text).as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.filter(|_| rest.is_empty()).ok_or_else(|| Error::invalid("bytes are written as pairs of hexadecimal digits"))
}

/// Writes bytes as hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
