//! Triggers that write a change for each row, and one for all of them.

use stratacache_core::{Error, Result};

use super::name::{Names, checked};

/// A part of a key or tag in a trigger: a constant, or a column of the row.
#[derive(Debug, Clone)]
pub struct SqlPart(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Text(String),
    Number(i64),
    Column(String),
    Optional(String),
    Uuid(String),
    Bytes(String),
}

impl SqlPart {
    /// Makes a part of a text that is the same for all rows, of 1 to 256 bytes.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(Kind::Text(text.to_owned()))
    }

    /// Makes a part of a number that is the same for all rows.
    #[must_use]
    pub fn number(number: i64) -> Self {
        Self(Kind::Number(number))
    }

    /// Takes a column of text, whole numbers or booleans, as `String`, an integer or `bool` in Rust. `NULL` is `None`.
    ///
    /// Parts are typed: a `text` column with `42` in it is no key of a keyspace of numbers.
    #[must_use]
    pub fn column(name: &str) -> Self {
        Self(Kind::Column(name.to_owned()))
    }

    /// Takes a column that is an `Option` in Rust: `NULL` is `None`, everything else `Some`.
    #[must_use]
    pub fn optional_column(name: &str) -> Self {
        Self(Kind::Optional(name.to_owned()))
    }

    /// Takes a column of type `uuid`, as `Uuid` in Rust.
    #[must_use]
    pub fn uuid_column(name: &str) -> Self {
        Self(Kind::Uuid(name.to_owned()))
    }

    /// Takes a column of type `bytea`, as bytes in Rust.
    #[must_use]
    pub fn bytes_column(name: &str) -> Self {
        Self(Kind::Bytes(name.to_owned()))
    }

    /// Tells whether it is the same for all rows.
    fn is_constant(&self) -> bool {
        matches!(self.0, Kind::Text(_) | Kind::Number(_))
    }

    fn sql(&self, row: &str) -> Result<String> {
        let of = |name: &str| Ok::<_, Error>(format!("{row}.{}", checked("column", name)?));
        let unless_null =
            |column: &str, value: String| format!("CASE WHEN {column} IS NULL THEN 'null'::jsonb ELSE {value} END");
        Ok(match &self.0 {
            Kind::Text(text) => format!("to_jsonb({}::text)", literal(text)?),
            Kind::Number(number) => format!("to_jsonb('{number}'::bigint)"),
            Kind::Column(name) => {
                let column = of(name)?;
                unless_null(&column, format!("to_jsonb({column})"))
            }
            Kind::Optional(name) => {
                let column = of(name)?;
                unless_null(&column, format!("jsonb_build_object('some', to_jsonb({column}))"))
            }
            Kind::Uuid(name) => {
                let column = of(name)?;
                unless_null(&column, format!("jsonb_build_object('uuid', {column}::text)"))
            }
            Kind::Bytes(name) => {
                let column = of(name)?;
                unless_null(&column, format!("jsonb_build_object('bytes', encode({column}, 'hex'))"))
            }
        })
    }
}

/// A trigger for the rows of one table. Made by [`OutboxSql::trigger`](super::OutboxSql::trigger).
///
/// An update writes the targets of the row as it was, and as it is if they differ: a contact that moves to another company is a change
/// of both.
///
/// `TRUNCATE`, also that of a `CASCADE`, is one change, for no trigger sees its rows. Unless [`truncate_tag`](Self::truncate_tag) says
/// what covers them all, it is about whatever a row may have been about: with a tenant's column
/// [all tenants](stratacache_core::follow::ChangeTarget::all_tenants); without one all data of no tenant in place of each key, and all
/// tenants in place of each tag, which is a global one. Targets that name no column are the same for all rows, and stay.
///
/// ```
/// use stratacache_postgres::{OutboxSql, SqlPart};
///
/// let trigger = OutboxSql::new("strata")?
///     .trigger("contacts")
///     .tenant("company")
///     .tag([SqlPart::text("contact"), SqlPart::column("id")]) // the tag ("contact", id)
///     .key("contacts", Some(2), [SqlPart::column("id")]); // CONTACTS.key(&id), of version 2
/// println!("{}", trigger.to_sql()?);
/// # Ok::<(), stratacache_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "it is text until it is run in the database"]
pub struct RowTrigger {
    names: Names,
    table: String,
    tenant: Option<String>,
    targets: Vec<Target>,
    truncated: Vec<Target>,
}

#[derive(Debug, Clone)]
enum Target {
    Tag(Vec<SqlPart>),
    Key(String, Option<u32>, Vec<SqlPart>),
    Namespace(Vec<Vec<SqlPart>>),
    Everything,
    AllTenants,
}

impl Target {
    fn is_constant(&self) -> bool {
        match self {
            Self::Tag(parts) | Self::Key(_, _, parts) => parts.iter().all(SqlPart::is_constant),
            Self::Namespace(levels) => levels.iter().flatten().all(SqlPart::is_constant),
            Self::Everything | Self::AllTenants => true,
        }
    }
}

impl RowTrigger {
    pub(super) fn new(names: Names, table: &str) -> Self {
        Self { names, table: table.to_owned(), tenant: None, targets: Vec::new(), truncated: Vec::new() }
    }

    /// Names the column that holds the tenant. Without one, the rows are data of no tenant.
    pub fn tenant(mut self, column: &str) -> Self {
        self.tenant = Some(column.to_owned());
        self
    }

    /// Invalidates a tag: one part is the tag itself, several are a tuple.
    pub fn tag(mut self, parts: impl IntoIterator<Item = SqlPart>) -> Self {
        self.targets.push(Target::Tag(parts.into_iter().collect()));
        self
    }

    /// Invalidates a key of a keyspace, at the tenant's root: one part is the key itself, several are a tuple. Without a version it is
    /// that of the keyspace as the follower knows it, or 0.
    ///
    /// A `Resource` keeps its entries in a namespace of its own, which a key at the root does not reach: see
    /// [`namespace`](Self::namespace).
    pub fn key(mut self, keyspace: &str, version: Option<u32>, parts: impl IntoIterator<Item = SqlPart>) -> Self {
        self.targets.push(Target::Key(keyspace.to_owned(), version, parts.into_iter().collect()));
        self
    }

    /// Invalidates a namespace with all below it: its levels, the outermost first, each of one part or of several that are a tuple.
    ///
    /// ```
    /// # use stratacache_postgres::{OutboxSql, SqlPart};
    /// # let sql = OutboxSql::new("strata")?;
    /// // acme.namespace(("user", 42)): all that is kept of the user whose row has changed
    /// let users = sql.trigger("users").tenant("company").namespace([[SqlPart::text("user"), SqlPart::column("id")]]);
    /// // all that a `Resource` with the NAME "contacts" keeps for the tenant
    /// let contacts = sql.trigger("contacts").tenant("company").namespace([["resource", "contacts"].map(SqlPart::text)]);
    /// # for trigger in [users, contacts] { trigger.to_sql()?; }
    /// # Ok::<(), stratacache_core::Error>(())
    /// ```
    pub fn namespace<L: IntoIterator<Item = SqlPart>>(mut self, levels: impl IntoIterator<Item = L>) -> Self {
        let levels = levels.into_iter().map(|level| level.into_iter().collect()).collect();
        self.targets.push(Target::Namespace(levels));
        self
    }

    /// Invalidates the whole tenant.
    pub fn everything(mut self) -> Self {
        self.targets.push(Target::Everything);
        self
    }

    /// Invalidates a global tag when the table is emptied by `TRUNCATE`, in place of all tenants: for tables that are emptied often. May
    /// be said several times.
    ///
    /// Whatever is made of rows of the table must have it, in every tenant: `.tag(Tag::global("contacts"))`. What lacks it stays stale.
    ///
    /// ```
    /// # use stratacache_postgres::{OutboxSql, SqlPart};
    /// let trigger = OutboxSql::new("strata")?
    ///     .trigger("contacts")
    ///     .tenant("company")
    ///     .tag([SqlPart::text("contact"), SqlPart::column("id")])
    ///     .truncate_tag([SqlPart::text("contacts")]); // Tag::global("contacts")
    /// # trigger.to_sql()?;
    /// # Ok::<(), stratacache_core::Error>(())
    /// ```
    pub fn truncate_tag(mut self, parts: impl IntoIterator<Item = SqlPart>) -> Self {
        self.truncated.push(Target::Tag(parts.into_iter().collect()));
        self
    }

    /// Returns the triggers and their function as SQL. It may be run again, and replaces what it has made before.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](stratacache_core::ErrorKind::InvalidInput) for what is no plain identifier, for a text with a quote,
    /// a backslash, a dollar or a control character, when there is no target or one without parts or levels, and for a column in what
    /// `TRUNCATE` invalidates.
    pub fn to_sql(&self) -> Result<String> {
        let (schema, table) = match self.table.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, self.table.as_str()),
        };
        let quoted = checked("table", table)?;
        let on = match schema {
            Some(schema) => format!("{}.{quoted}", checked("schema of the table", schema)?),
            None => quoted,
        };
        // with the dot, so that no two tables share it
        let name = format!("row_of_{}", self.table);
        if name.len() > 63 {
            return Err(Error::invalid("the names of schema and table have at most 56 bytes together"));
        }
        let function = format!("{}.\"{name}\"", self.names.schema);
        let (old, new) = (self.targets_of("OLD")?, self.targets_of("NEW")?);
        let (old_tenant, new_tenant) = (self.tenant_of("OLD")?, self.tenant_of("NEW")?);
        let truncated = self.all_that_rows_name()?;
        let invalidate = &self.names.invalidate;
        Ok(format!(
            "\
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $strata$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM {invalidate}(NULL::text, {truncated});
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    PERFORM {invalidate}({old_tenant}, {old});
  END IF;
  IF TG_OP = 'INSERT' THEN
    PERFORM {invalidate}({new_tenant}, {new});
  ELSIF TG_OP = 'UPDATE' THEN
    IF ({new_tenant}, {new}) IS DISTINCT FROM ({old_tenant}, {old}) THEN
      PERFORM {invalidate}({new_tenant}, {new});
    END IF;
  END IF;
  RETURN NULL;
END
$strata$;

CREATE OR REPLACE TRIGGER strata_row AFTER INSERT OR UPDATE OR DELETE ON {on}
FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE OR REPLACE TRIGGER strata_truncate AFTER TRUNCATE ON {on}
FOR EACH STATEMENT EXECUTE FUNCTION {function}();
"
        ))
    }

    fn tenant_of(&self, row: &str) -> Result<String> {
        match &self.tenant {
            Some(column) => Ok(format!("{row}.{}::text", checked("column", column)?)),
            None => Ok("NULL::text".to_owned()),
        }
    }

    fn targets_of(&self, row: &str) -> Result<String> {
        if self.targets.is_empty() {
            return Err(Error::invalid(
                "a trigger needs a target: say .tag(..), .key(..), .namespace(..) or .everything()",
            ));
        }
        array_of(&self.targets, row)
    }

    /// Returns what any row may have been about, as targets of a change of no tenant.
    fn all_that_rows_name(&self) -> Result<String> {
        if !self.truncated.is_empty() {
            if !self.truncated.iter().all(Target::is_constant) {
                return Err(Error::invalid("truncate_tag(..) takes constants: the rows of a TRUNCATE are not seen"));
            }
            return array_of(&self.truncated, "NEW");
        }
        if self.tenant.is_some() {
            return array_of(&[Target::AllTenants], "NEW");
        }
        let covers = |target: &Target| match target {
            constant if constant.is_constant() => constant.clone(),
            Target::Key(..) | Target::Namespace(_) => Target::Everything,
            _ => Target::AllTenants,
        };
        array_of(&self.targets.iter().map(covers).collect::<Vec<_>>(), "NEW")
    }
}

fn array_of(targets: &[Target], row: &str) -> Result<String> {
    let all: Result<Vec<String>> = targets.iter().map(|target| target_of(target, row)).collect();
    Ok(format!("jsonb_build_array({})", all?.join(", ")))
}

fn target_of(target: &Target, row: &str) -> Result<String> {
    Ok(match target {
        Target::Everything => "jsonb_build_object('everything', true)".to_owned(),
        Target::AllTenants => "jsonb_build_object('all_tenants', true)".to_owned(),
        Target::Tag(parts) => format!("jsonb_build_object('tag', {})", tuple(parts, row)?),
        Target::Namespace(levels) if levels.is_empty() => {
            return Err(Error::invalid("a namespace of a trigger needs a level; the whole tenant is .everything()"));
        }
        Target::Namespace(levels) => {
            let levels: Result<Vec<String>> = levels.iter().map(|level| tuple(level, row)).collect();
            format!("jsonb_build_object('namespace', jsonb_build_array({}))", levels?.join(", "))
        }
        Target::Key(keyspace, version, parts) => {
            let version = version.map(|version| format!(", 'version', '{version}'::bigint")).unwrap_or_default();
            let (key, keyspace) = (tuple(parts, row)?, literal(keyspace)?);
            format!("jsonb_build_object('key', {key}, 'keyspace', {keyspace}::text{version})")
        }
    })
}

fn tuple(parts: &[SqlPart], row: &str) -> Result<String> {
    match parts {
        [] => Err(Error::invalid("a tag, key or level of a trigger needs a part")),
        [one] => one.sql(row),
        several => {
            let all: Result<Vec<String>> = several.iter().map(|part| part.sql(row)).collect();
            Ok(format!("jsonb_build_array({})", all?.join(", ")))
        }
    }
}

/// Quotes a constant. What could end a literal, or the body of the function it is in, is refused.
fn literal(text: &str) -> Result<String> {
    if text.is_empty() || text.len() > 256 || text.contains(['\'', '\\', '$']) || text.chars().any(char::is_control) {
        return Err(Error::invalid(
            "a constant of a trigger is 1 to 256 bytes without quotes, backslashes, dollars and control characters",
        ));
    }
    Ok(format!("'{text}'"))
}
