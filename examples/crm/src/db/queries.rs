//! The SQL.

/// The tables. Activities and deals are logs: written at the end, in the order of arrival, found by their id only.
pub(super) const SCHEMA: &str = "
CREATE TABLE contacts (
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- no id is used twice, so that old activities find no new contact
    tenant  TEXT NOT NULL,
    name    TEXT NOT NULL,
    email   TEXT NOT NULL,
    city    TEXT NOT NULL,
    stage   TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX contacts_by_name ON contacts (tenant, name, id);
CREATE TABLE activities (
    id      INTEGER PRIMARY KEY,
    contact INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    minutes INTEGER NOT NULL,
    day     INTEGER NOT NULL
);
CREATE TABLE deals (
    id      INTEGER PRIMARY KEY,
    contact INTEGER NOT NULL,
    cents   INTEGER NOT NULL,
    won     INTEGER NOT NULL
);
";

/// One page of a company's contacts.
pub(super) const PAGE: &str = "
SELECT id, tenant, name, email, city, stage, version
  FROM contacts WHERE tenant = ?1 ORDER BY name, id LIMIT ?2 OFFSET ?3";

/// One contact of a company.
pub(super) const CONTACT: &str = "
SELECT id, tenant, name, email, city, stage, version
  FROM contacts WHERE tenant = ?1 AND id = ?2";

/// What a company did and sold, by stage. Slow, since the logs have no index by contact: each run reads both as a whole.
/// The plan is in the README.
pub(super) const STATISTICS: &str = "
WITH worked AS (
    SELECT contact, count(*) AS activities, sum(minutes) AS minutes, max(day) AS last_day
      FROM activities GROUP BY contact
), sold AS (
    SELECT contact, count(*) AS deals, sum(cents) AS cents
      FROM deals WHERE won = 1 GROUP BY contact
)
SELECT c.tenant, c.stage, count(*),
       coalesce(sum(w.activities), 0), coalesce(sum(w.minutes), 0), coalesce(max(w.last_day), 0),
       coalesce(sum(s.deals), 0), coalesce(sum(s.cents), 0)
  FROM contacts c
  LEFT JOIN worked w ON w.contact = c.id
  LEFT JOIN sold s ON s.contact = c.id
 WHERE c.tenant = ?1
 GROUP BY c.tenant, c.stage ORDER BY c.stage";

/// A new contact.
pub(super) const CREATE: &str = "
INSERT INTO contacts (tenant, name, email, city, stage) VALUES (?1, ?2, ?3, ?4, ?5)
RETURNING id, tenant, name, email, city, stage, version";

/// A changed contact.
pub(super) const UPDATE: &str = "
UPDATE contacts SET name = ?3, email = ?4, city = ?5, stage = ?6, version = version + 1
 WHERE tenant = ?1 AND id = ?2
RETURNING id, tenant, name, email, city, stage, version";

/// A contact that is no more.
pub(super) const DELETE: &str = "DELETE FROM contacts WHERE tenant = ?1 AND id = ?2";
