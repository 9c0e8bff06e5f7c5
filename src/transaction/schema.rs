//! The schema `meridian_internal` on every shard: the table of decisions, and the function through which coordinators write it.
//!
//! Made on demand by the control plane, on every shard's primary. The account needs CREATE on the database once; an
//! administrator may also make the objects, as this account or as a superuser.
//!
//! A coordinator records its decision inside the client's own transaction, so under the client's own role. That role gets
//! no right on the table: it could forge or remove decisions. It may only call `meridian_internal.decide`, which runs as the
//! owner (SECURITY DEFINER, with a search path that holds nothing of others), writes nothing but 'commit', and asks for
//! the proof whose digest is in the gid: who has read a gid in `pg_prepared_xacts` cannot decide it. Every role may read the
//! table, since `pg_dump` locks whatever it dumps and reads it: a row has a gid, which `pg_prepared_xacts` shows to every role
//! too, and an outcome. The right to read is no right to lock out: it allows ACCESS SHARE only.
//!
//! It is not called `meridian`: the default search_path begins with "$user", so a schema of a role's name takes that role's
//! new tables, and `meridian` is a likely name for a role.
//!
//! Invariants:
//! 1. Clients' roles never run a function of that name that belongs to anyone but this account or a superuser: a shard
//!    where it does is unfit.
//! 2. What is right already is not touched, so that nothing changes in the catalog at every start.

use std::time::Duration;

use super::registry::Fitness;
use crate::health::timelines::{LOCK, SCHEMA};
use crate::health::{ControlConnection, ControlError};
use crate::wire::error::{SqlError, SqlState};

const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Body of `meridian_internal.decide(gid, proof)`; compared with what the server has.
const DECIDE: &str = "
BEGIN
  IF gid !~ '^meridian:[A-Za-z0-9_.%-]{1,96}:[0-9a-f]{16}:[0-9a-f]{64}$'
     OR right(gid, 64) <> encode(sha256(convert_to(proof, 'UTF8')), 'hex') THEN
    RAISE EXCEPTION 'only the coordinator of a transaction may decide it' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO meridian_internal.decisions (gid, outcome) VALUES (decide.gid, 'commit');
END";

/// What a plain `pg_dump` needs of a table that is not its role's.
const READABLE: &str = "GRANT SELECT ON meridian_internal.decisions TO PUBLIC";

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS meridian_internal.decisions (
  gid pg_catalog.text PRIMARY KEY,
  outcome pg_catalog.text NOT NULL CHECK (outcome IN ('commit', 'abort')),
  decided_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now()
);
REVOKE ALL ON meridian_internal.decisions FROM PUBLIC;
GRANT SELECT ON meridian_internal.decisions TO PUBLIC";

/// One row: max_prepared_transactions; owners that are not to be trusted; whether the table may be used, and the
/// function's body, both NULL where there is none; whether what is missing may be made; whether every role may read the
/// table.
const LOOK: &str = "
WITH trusted AS (
  SELECT oid FROM pg_catalog.pg_roles WHERE rolsuper OR rolname = current_user
), owners AS (
  SELECT 'schema'::pg_catalog.text AS kind, nspowner AS owner FROM pg_catalog.pg_namespace WHERE nspname = 'meridian_internal'
  UNION ALL SELECT 'table', relowner FROM pg_catalog.pg_class
    WHERE oid = pg_catalog.to_regclass('meridian_internal.decisions')
  UNION ALL SELECT 'function', proowner FROM pg_catalog.pg_proc
    WHERE pronamespace = pg_catalog.to_regnamespace('meridian_internal') AND proname = 'decide'
)
SELECT pg_catalog.current_setting('max_prepared_transactions'),
  (SELECT pg_catalog.string_agg(kind || ' belongs to ' || pg_catalog.pg_get_userbyid(owner), ', ')
     FROM owners WHERE owner NOT IN (SELECT oid FROM trusted)),
  (SELECT pg_catalog.has_schema_privilege('meridian_internal', 'USAGE') AND
          pg_catalog.has_table_privilege(oid, 'SELECT') AND pg_catalog.has_table_privilege(oid, 'INSERT')
          AND pg_catalog.has_table_privilege(oid, 'DELETE')
     FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass('meridian_internal.decisions')),
  (SELECT prosrc FROM pg_catalog.pg_proc
    WHERE oid = pg_catalog.to_regprocedure('meridian_internal.decide(text, text)') AND prosecdef),
  CASE WHEN pg_catalog.to_regnamespace('meridian_internal') IS NULL
    THEN pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
    ELSE pg_catalog.has_schema_privilege('meridian_internal', 'CREATE') AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_proc
      WHERE oid = pg_catalog.to_regprocedure('meridian_internal.decide(text, text)')
        AND NOT pg_catalog.pg_has_role(proowner, 'USAGE')) END,
  (SELECT pg_catalog.bool_or(entry.grantee = 0 AND entry.privilege_type = 'SELECT')
     FROM pg_catalog.pg_class, pg_catalog.aclexplode(relacl) AS entry
     WHERE oid = pg_catalog.to_regclass('meridian_internal.decisions'))";

/// Whether recording the decision has failed because there is one already: recovery's, that it is not committed.
pub(super) fn is_decided(error: &SqlError) -> bool {
    let constraint = |(code, name): &(u8, String)| *code == b'n' && name == "decisions_pkey";
    error.sqlstate == SqlState::UNIQUE_VIOLATION && error.fields.iter().any(constraint)
}

/// Looks at a primary, and makes what is missing. An error is one of the connection: nothing is known then.
pub(super) async fn prepare(connection: &ControlConnection) -> Result<Fitness, ControlError> {
    let seen = look(connection).await;
    let table = match &seen {
        Ok(Seen { found: Found::Nothing, .. }) => format!("{SCHEMA}; {TABLE}"),
        Ok(Seen { found: Found::OtherFunction, .. }) => String::new(),
        Ok(Seen { found: Found::Right, is_readable: false, .. }) => {
            share(connection).await?;
            return judged(seen);
        }
        Ok(_) | Err(_) => return judged(seen),
    };
    let function = format!(
        "CREATE OR REPLACE FUNCTION meridian_internal.decide(gid pg_catalog.text, proof pg_catalog.text) \
         RETURNS pg_catalog.void LANGUAGE plpgsql VOLATILE SECURITY DEFINER \
         SET search_path = pg_catalog, pg_temp AS $decide${DECIDE}$decide$; \
         GRANT EXECUTE ON FUNCTION meridian_internal.decide(pg_catalog.text, pg_catalog.text) TO PUBLIC"
    );
    // One message is one transaction.
    let made = connection.rows(&format!("{LOCK}; {table}; {function}"), ANSWER_TIME_MAX).await;
    match made {
        Ok(_) => match look(connection).await?.found {
            Found::Right => Ok(Fitness::Fit),
            _ => Ok(Fitness::NoDecisions("what was made is not what is there".to_owned())),
        },
        Err(ControlError::Server { message, .. }) => Ok(Fitness::NoDecisions(message)),
        Err(error) => Err(error),
    }
}

/// What [`prepare`] would come to on this primary; nothing is made.
pub async fn inspect(connection: &ControlConnection) -> Result<Fitness, ControlError> {
    let seen = look(connection).await;
    let lacks_right =
        matches!(seen, Ok(Seen { found: Found::Nothing | Found::OtherFunction, may_make: false, .. }));
    if lacks_right {
        let why = "no right to create what is missing of the schema \"meridian_internal\"";
        return Ok(Fitness::NoDecisions(why.to_owned()));
    }
    judged(seen)
}

/// What can be said without making anything; what is missing is expected to be made.
fn judged(seen: Result<Seen, ControlError>) -> Result<Fitness, ControlError> {
    Ok(match seen {
        Err(ControlError::Server { message, .. }) => Fitness::NoDecisions(message),
        Err(error) => return Err(error),
        Ok(seen) => match seen.found {
            Found::Disabled => Fitness::PreparedTransactionsDisabled,
            Found::Foreign(owners) => Fitness::NoDecisions(format!("the {owners}")),
            Found::NoRight => Fitness::NoDecisions("no right to use meridian_internal.decisions".to_owned()),
            Found::Right | Found::Nothing | Found::OtherFunction => Fitness::Fit,
        },
    })
}

/// Of a table that an earlier Meridian has made. Who may not is no worse off than before.
async fn share(connection: &ControlConnection) -> Result<(), ControlError> {
    match connection.rows(READABLE, ANSWER_TIME_MAX).await {
        Ok(_) | Err(ControlError::Server { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

struct Seen {
    found: Found,
    /// Whether the account may create what is missing.
    may_make: bool,
    /// Whether every role may read the table.
    is_readable: bool,
}

enum Found {
    Disabled,
    Foreign(String),
    NoRight,
    Nothing,
    OtherFunction,
    Right,
}

async fn look(connection: &ControlConnection) -> Result<Seen, ControlError> {
    let rows = connection.rows(LOOK, ANSWER_TIME_MAX).await?;
    let text = |column: usize| rows.first().and_then(|row| row.try_get(column).ok().flatten());
    let found = match (text(0), text(1), text(2), text(3)) {
        (Some("0"), ..) => Found::Disabled,
        (_, Some(owners), ..) => Found::Foreign(owners.to_owned()),
        (_, _, None, _) => Found::Nothing,
        (_, _, Some("f"), _) => Found::NoRight,
        (_, _, Some(_), Some(body)) if body == DECIDE => Found::Right,
        (_, _, Some(_), _) => Found::OtherFunction,
    };
    Ok(Seen { found, may_make: text(4) == Some("t"), is_readable: text(5) == Some("t") })
}
