//! The JSON of targets, which triggers write.

use serde_json::{Map, Value, json};

use super::{
    ChangeTarget, part,
    target::{OfKeyspace, What},
};
use crate::{
    Error, Result,
    key::{PartBuf, PartEncoder},
};

/// The longest JSON of the targets of one change, in bytes (256 KiB).
pub const MAX_CHANGE_TEXT: usize = 256 << 10;

/// The most targets of one change.
pub const MAX_CHANGE_TARGETS: usize = 1024;

/// Reads the targets of one change from JSON: an object, or an array of them. The forms are those of [`ChangeTarget`].
///
/// ```
/// use stratacache_core::follow::{ChangeTarget, targets_from_json};
///
/// let read = targets_from_json(r#"[{"tag": ["contacts", 42]}, {"everything": true}]"#)?;
/// assert_eq!(read, [ChangeTarget::tag(("contacts", 42)), ChangeTarget::everything()]);
/// # Ok::<(), stratacache_core::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) that says what is wrong, without anything of the content. An unknown field
/// is wrong, too: it may narrow what is meant.
pub fn targets_from_json(json: &str) -> Result<Vec<ChangeTarget>> {
    if json.len() > MAX_CHANGE_TEXT {
        return Err(Error::invalid(format!(
            "the targets of a change have at most 256 KiB, these {} bytes",
            json.len()
        )));
    }
    // its message would quote the text
    let value: Value = serde_json::from_str(json).map_err(|_| Error::invalid("the targets of a change are no JSON"))?;
    match &value {
        Value::Array(all) if all.len() > MAX_CHANGE_TARGETS => Err(Error::invalid(format!(
            "a change has at most {MAX_CHANGE_TARGETS} targets, this one {}; name a tag that they share",
            all.len()
        ))),
        Value::Array(all) => all.iter().map(target).collect(),
        one => Ok(vec![target(one)?]),
    }
}

/// Writes targets as JSON that [`targets_from_json`] reads, for an application that writes its outbox by itself.
#[must_use]
pub fn targets_to_json(targets: &[ChangeTarget]) -> String {
    Value::Array(targets.iter().map(written).collect()).to_string()
}

fn target(value: &Value) -> Result<ChangeTarget> {
    let Value::Object(fields) = value else {
        return Err(Error::invalid(FORMS));
    };
    let fields = Fields(fields);
    let kinds = ["tag", "key", "prefix", "namespace", "everything", "all_tenants"];
    let mut kinds = kinds.into_iter().filter(|kind| fields.has(kind));
    let (Some(kind), None) = (kinds.next(), kinds.next()) else {
        return Err(Error::invalid(FORMS));
    };
    match kind {
        "tag" => {
            fields.only(&["tag"])?;
            Ok(ChangeTarget { levels: Vec::new(), what: What::Tag(fields.part("tag")?) })
        }
        "namespace" => {
            fields.only(&["namespace"])?;
            let levels = fields.levels("namespace")?;
            if levels.is_empty() {
                return Err(Error::invalid("a \"namespace\" without levels is the tenant: say {\"everything\": true}"));
            }
            Ok(ChangeTarget { levels, what: What::Levels })
        }
        "everything" => fields.flag("everything").map(|()| ChangeTarget::everything()),
        "all_tenants" => fields.flag("all_tenants").map(|()| ChangeTarget::all_tenants()),
        "key" => {
            fields.only(&["key", "keyspace", "version", "in"])?;
            let what = match fields.of_keyspace("key")? {
                Some(of) => What::In(of),
                None => What::Key(fields.part("key")?),
            };
            Ok(ChangeTarget { levels: fields.levels("in")?, what })
        }
        _ => {
            fields.only(&["prefix", "keyspace", "version", "in"])?;
            match fields.0.get("prefix") {
                Some(Value::Array(parts)) if !parts.is_empty() => {}
                _ => return Err(Error::invalid("a \"prefix\" is an array of leading parts")),
            }
            let of = fields.of_keyspace("prefix")?;
            let of = of.ok_or_else(|| Error::invalid("a \"prefix\" needs its \"keyspace\""))?;
            Ok(ChangeTarget { levels: fields.levels("in")?, what: What::Prefix(of) })
        }
    }
}

const FORMS: &str =
    "a target is an object with one of \"tag\", \"key\", \"prefix\", \"namespace\", \"everything\" and \"all_tenants\"";

/// The fields of one target.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn only(&self, allowed: &[&str]) -> Result<()> {
        if self.0.keys().all(|name| allowed.contains(&name.as_str())) {
            return Ok(());
        }
        Err(Error::invalid(format!("a target with {:?} has no other fields than {}", allowed[0], allowed.join(", "))))
    }

    /// Reads a target that its name says all of.
    fn flag(&self, name: &'static str) -> Result<()> {
        self.only(&[name])?;
        match self.0.get(name) {
            Some(Value::Bool(true)) => Ok(()),
            _ => Err(Error::invalid(format!("{name:?} is true or not there"))),
        }
    }

    fn part(&self, name: &str) -> Result<PartBuf> {
        encoded(self.0.get(name).unwrap_or(&Value::Null))
    }

    fn levels(&self, name: &str) -> Result<Vec<PartBuf>> {
        match self.0.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(levels)) => levels.iter().map(encoded).collect(),
            Some(_) => Err(Error::invalid(format!("{name:?} is an array of levels, the outermost first"))),
        }
    }

    fn of_keyspace(&self, part: &str) -> Result<Option<OfKeyspace>> {
        let version = match self.0.get("version") {
            None => None,
            Some(version) => {
                let version = version.as_u64().and_then(|version| u32::try_from(version).ok());
                Some(version.ok_or_else(|| Error::invalid("a \"version\" is a whole number, 0 to 4294967295"))?)
            }
        };
        match self.0.get("keyspace") {
            Some(Value::String(name)) if !name.is_empty() && name.len() <= 64 => {
                Ok(Some(OfKeyspace { name: name.as_str().into(), version, part: self.part(part)? }))
            }
            Some(_) => Err(Error::invalid("a \"keyspace\" is a name of 1 to 64 bytes")),
            None if version.is_some() => Err(Error::invalid("a \"version\" needs its \"keyspace\"")),
            None => Ok(None),
        }
    }
}

fn encoded(value: &Value) -> Result<PartBuf> {
    let mut encoder = PartEncoder::default();
    part::encode(value, &mut encoder)?;
    Ok(encoder.finish())
}

fn written(target: &ChangeTarget) -> Value {
    let raw = |bytes: &[u8]| json!({ "encoded": part::to_hex(bytes) });
    let levels: Vec<Value> = target.levels.iter().map(|level| raw(level)).collect();
    let mut value = match &target.what {
        What::Tag(bytes) => return json!({ "tag": raw(bytes) }),
        What::Levels if levels.is_empty() => return json!({ "everything": true }),
        What::Levels => return json!({ "namespace": levels }),
        What::AllTenants => return json!({ "all_tenants": true }),
        What::Key(bytes) => json!({ "key": raw(bytes) }),
        What::In(of) => json!({ "key": raw(&of.part), "keyspace": of.name }),
        // the group's frame goes with it
        What::Prefix(of) => json!({ "prefix": [raw(&members(&of.part))], "keyspace": of.name }),
    };
    if let What::In(OfKeyspace { version: Some(version), .. })
    | What::Prefix(OfKeyspace { version: Some(version), .. }) = &target.what
    {
        value["version"] = json!(version);
    }
    if !levels.is_empty() {
        value["in"] = Value::Array(levels);
    }
    value
}

fn members(group: &[u8]) -> Vec<u8> {
    crate::key::group_members(group).unwrap_or_default().to_vec()
}
