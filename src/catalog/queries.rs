//! The texts of the catalog queries, good for PostgreSQL 13 to 18.
//!
//! They run with `search_path = pg_catalog`, so every name is the system's own. Columns that only some versions have
//! are read through `to_jsonb(row)`. *User schemas* are all but pg_catalog, information_schema, pg_toast and the
//! temporary ones.
//!
//! Built-in objects are pinned and so have no rows in pg_depend: the functions that an expression calls are found in
//! its node tree (`:funcid 1234`, `:opno 96`), where every call stands.

/// The queries of a load, all in one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Query {
    Server,
    RoleSettings,
    Relations,
    Columns,
    ViewReads,
    ViewCalls,
    Inheritance,
    UniqueSets,
    ForeignKeys,
    WriteCalls,
    OperatorCalls,
    CastCalls,
    DomainCalls,
    EventTriggers,
    Functions,
    Definitions,
    Types,
    Fingerprint,
}

impl Query {
    pub const ALL: [Self; 18] = [
        Self::Server,
        Self::RoleSettings,
        Self::Relations,
        Self::Columns,
        Self::ViewReads,
        Self::ViewCalls,
        Self::Inheritance,
        Self::UniqueSets,
        Self::ForeignKeys,
        Self::WriteCalls,
        Self::OperatorCalls,
        Self::CastCalls,
        Self::DomainCalls,
        Self::EventTriggers,
        Self::Functions,
        Self::Definitions,
        Self::Types,
        Self::Fingerprint,
    ];

    pub fn text(self) -> &'static str {
        self.parts().0
    }

    /// What its rows are, for an error.
    pub fn what(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Server => (SERVER, "databases"),
            Self::RoleSettings => (ROLE_SETTINGS, "settings of roles"),
            Self::Relations => (RELATIONS, "relations"),
            Self::Columns => (COLUMNS, "columns"),
            Self::ViewReads => (VIEW_READS, "tables under views"),
            Self::ViewCalls => (VIEW_CALLS, "functions in views"),
            Self::Inheritance => (INHERITANCE, "inheriting tables"),
            Self::UniqueSets => (UNIQUE_SETS, "unique indexes"),
            Self::ForeignKeys => (FOREIGN_KEYS, "foreign keys"),
            Self::WriteCalls => (WRITE_CALLS, "functions in defaults and constraints"),
            Self::OperatorCalls => (OPERATOR_CALLS, "operators"),
            Self::CastCalls => (CAST_CALLS, "casts"),
            Self::DomainCalls => (DOMAIN_CALLS, "domains"),
            Self::EventTriggers => (EVENT_TRIGGERS, "event triggers"),
            Self::Functions => (FUNCTIONS, "functions"),
            Self::Definitions => (DEFINITIONS, "definitions of functions"),
            Self::Types => (TYPES, "types"),
            Self::Fingerprint => (FINGERPRINT, "fingerprints"),
        }
    }
}

/// Encoding and collation of the database, the locales by which values are shown and words are found, and how far the log is:
/// whatever the load sees was written before.
const SERVER: &str = "
SELECT current_setting('server_encoding'),
       j->>'datlocprovider', j->>'datcollate', coalesce(j->>'datlocale', j->>'daticulocale'), j->>'datcollversion',
       concat_ws(', ', current_setting('lc_monetary'), current_setting('lc_numeric'), current_setting('lc_time'),
                 current_setting('default_text_search_config')),
       CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn()::text END,
       EXISTS (SELECT FROM pg_operator o WHERE o.oid >= 16384 AND o.oprleft BETWEEN 1 AND 16383 AND o.oprright < 16384
                  AND o.oprname IN ('=', '<>', '<', '<=', '>', '>=', '~~', '^@'))
  FROM (SELECT to_jsonb(d) FROM pg_database d WHERE d.datname = current_database()) AS d(j)";

/// The settings by which names are found, texts read and values shown, of `pg_settings s`.
macro_rules! session_defaults {
    () => {
        "lower(s.name) IN ('search_path', 'timezone', 'datestyle', 'intervalstyle', 'bytea_output',
            'extra_float_digits', 'xmlbinary', 'xmloption', 'array_nulls', 'standard_conforming_strings',
            'default_transaction_isolation')"
    };
}

/// What a session of the account that asks has begun with, and why. To be asked before anything is set.
pub(super) const DEFAULTS: &str = concat!(
    "
SELECT s.name, s.boot_val, s.reset_val, s.source, session_user::text FROM pg_catalog.pg_settings s WHERE pg_catalog.",
    session_defaults!()
);

/// ALTER ROLE, ALTER DATABASE and ALTER ROLE IN DATABASE … SET; and whether any session may set it: what the server does
/// not know is an application's own, if it has a dot. The client's encoding is the session's matter.
const ROLE_SETTINGS: &str = "
SELECT r.rolname::text, s.setdatabase <> 0, lower(split_part(c.setting, '=', 1)),
       substr(c.setting, strpos(c.setting, '=') + 1),
       coalesce((SELECT p.context = 'user' FROM pg_settings p WHERE lower(p.name) = lower(split_part(c.setting, '=', 1))),
                c.setting ~ '^[^=]*[.]')
  FROM pg_db_role_setting s
  CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE (s.setrole = 0 OR r.oid IS NOT NULL) AND c.setting !~* '^client_encoding='
   AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))";

/// Tables that other sessions alter. To show a view, or how a column is generated, PostgreSQL locks the tables: nobody waits for
/// those, and what is of them is shown another time. Defaults are shown without a lock.
macro_rules! altered {
    () => {
        "altered AS MATERIALIZED (
    SELECT l.relation FROM pg_locks l JOIN pg_database d ON d.oid = l.database
     WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid()
       AND d.datname = current_database())"
    };
}

const RELATIONS: &str = concat!(
    "
WITH ",
    altered!(),
    "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity,
       coalesce(f.schemas, '{}'), coalesce(f.names, '{}'),
       c.relhasrules AND EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'),
       CASE WHEN c.relkind = 'v' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
             AND NOT EXISTS (SELECT FROM altered JOIN pg_depend d ON d.refobjid = altered.relation
                               JOIN pg_rewrite r ON r.oid = d.objid
                              WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
                                AND r.ev_class = c.oid)
            THEN pg_get_viewdef(c.oid) END,
       c.relpersistence = 'u',
       CASE WHEN c.relkind = 'S' THEN
         (SELECT d.refobjid FROM pg_depend d
           WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
             AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') LIMIT 1) END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (
    SELECT t.tgrelid, array_agg(pn.nspname::text ORDER BY t.oid) AS schemas,
           array_agg(p.proname::text ORDER BY t.oid) AS names
      FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace pn ON pn.oid = p.pronamespace
     WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' GROUP BY t.tgrelid) f ON f.tgrelid = c.oid
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
   AND n.nspname !~ '^pg_(toast|temp_)'"
);

/// Columns of user schemas, in their order. What they have in common is looked up once for all: collations, what
/// domains are made of, and what the trees of defaults call (0 is the number of a domain's own).
const COLUMNS: &str = concat!(
    "
WITH RECURSIVE ",
    altered!(),
    ",
  below(domain, type, modifier) AS (
    SELECT t.oid, t.typbasetype, t.typtypmod FROM pg_type t WHERE t.typtype = 'd'
    UNION ALL
    SELECT b.domain, t.typbasetype, t.typtypmod FROM below b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd'),
  coll AS MATERIALIZED (
    SELECT co.oid, co.collname::text AS name, j->>'collprovider' AS provider,
           coalesce(j->>'collcollate', j->>'colllocale', j->>'colliculocale') AS locale,
           co.collisdeterministic AS deterministic,
           CASE WHEN j->>'collprovider' <> 'd' THEN pg_collation_actual_version(co.oid) END AS version,
           quote_ident(n.nspname) || '.' || quote_ident(co.collname) AS qualified
      FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace CROSS JOIN LATERAL to_jsonb(co) AS j
     WHERE co.oid IN (SELECT a.attcollation FROM pg_attribute a WHERE a.attrelid >= 16384)),
  tree(object, number, text) AS (
    SELECT d.adrelid, d.adnum, d.adbin::text FROM pg_attrdef d
    UNION ALL
    SELECT t.oid, 0, t.typdefaultbin::text FROM pg_type t WHERE t.typdefaultbin IS NOT NULL),
  called AS MATERIALIZED (
    SELECT tree.object, tree.number,
           coalesce(bool_or(p.provolatile = 'v'), false) OR bool_or(tree.text LIKE '%NEXTVALEXPR%') AS volatile,
           coalesce(bool_or(p.provolatile = 's'), false)
             OR bool_or(tree.text LIKE '%SQLVALUEFUNCTION%' OR tree.text LIKE '%COERCEVIAIO%') AS stable
      FROM tree
      LEFT JOIN LATERAL (
        SELECT split_part(f, ' ', 1)::oid, NULL FROM unnest((string_to_array(tree.text, ':funcid '))[2:]) AS f
        UNION ALL
        SELECT NULL, split_part(f, ' ', 1)::oid FROM unnest((string_to_array(tree.text, ':opno '))[2:]) AS f
      ) AS m(function, operator) ON true
      LEFT JOIN pg_operator o ON o.oid = m.operator
      LEFT JOIN pg_proc p ON p.oid = coalesce(m.function, o.oprcode)
     GROUP BY tree.object, tree.number)
SELECT a.attrelid, a.attname::text, a.atttypid, format_type(a.atttypid, a.atttypmod), a.atttypmod, a.attnotnull,
       coalesce(CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, 0)
                     WHEN a.attrelid NOT IN (SELECT relation FROM altered) THEN pg_get_expr(d.adbin, d.adrelid) END,
                t.typdefault),
       coalesce(f.volatile, false), coalesce(f.stable, false),
       a.attgenerated <> '', a.attidentity <> '',
       co.name, co.provider, co.locale, co.deterministic, co.version,
       CASE WHEN a.attcollation <> t.typcollation THEN co.qualified END,
       coalesce(base.type, a.atttypid), coalesce(base.modifier, a.atttypmod)
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN coll co ON co.oid = a.attcollation
  LEFT JOIN called f ON f.object = CASE WHEN d.oid IS NULL THEN t.oid ELSE a.attrelid END
                    AND f.number = CASE WHEN d.oid IS NULL THEN 0 ELSE a.attnum END
  LEFT JOIN (SELECT b.* FROM below b JOIN pg_type t ON t.oid = b.type WHERE t.typtype <> 'd') AS base
    ON base.domain = t.oid
 WHERE a.attnum > 0 AND NOT a.attisdropped
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname !~ '^pg_(toast|temp_)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY a.attrelid, a.attnum"
);

/// View, and relation that it names itself; table, and relation that its row security names. Only what is not pinned:
/// not the system's own tables.
const VIEW_READS: &str = "
SELECT DISTINCT r.ev_class, d.refobjid
  FROM pg_rewrite r
  JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
 UNION
SELECT p.polrelid, d.refobjid
  FROM pg_policy p
  JOIN pg_class c ON c.oid = p.polrelid AND c.relrowsecurity
  JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> p.polrelid";

/// The oids of the functions in the node tree `e.tree`, as a sub-select. Split, which is cheaper than matched: a tree has
/// its texts as numbers, so that these words are calls.
macro_rules! functions_of_tree {
    () => {
        "(
    SELECT split_part(f, ' ', 1)::oid
      FROM unnest((string_to_array(e.tree, ':funcid '))[2:] || (string_to_array(e.tree, ':aggfnoid '))[2:]
                  || (string_to_array(e.tree, ':winfnoid '))[2:]) AS f
     UNION ALL
    SELECT o.oprcode FROM unnest((string_to_array(e.tree, ':opno '))[2:]) AS f
      JOIN pg_operator o ON o.oid = split_part(f, ' ', 1)::oid)"
    };
}

/// Of the functions `p`: those of the user's, and those of PostgreSQL's that leave something behind on the session, or show
/// what was left.
macro_rules! of_users_or_leaving {
    () => {
        "(p.oid >= 16384 OR p.proname IN ('set_config', 'setseed', 'current_setting')
         OR p.proname LIKE 'pg\\_%advisory\\_%lock%')"
    };
}

/// View of a user schema, and function that its definition calls and that is volatile or not built in; table, and
/// function that its row security calls and that is not built in.
const VIEW_CALLS: &str = concat!(
    "
SELECT DISTINCT e.relation, pn.nspname::text, p.proname::text
  FROM (SELECT r.ev_class, r.ev_action::text, true FROM pg_rewrite r
          JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
         UNION ALL
        SELECT p.polrelid, concat(p.polqual::text, p.polwithcheck::text), false FROM pg_policy p
          JOIN pg_class c ON c.oid = p.polrelid AND c.relrowsecurity) AS e(relation, tree, is_view)
  JOIN pg_class c ON c.oid = e.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL ",
    functions_of_tree!(),
    " AS f(oid)
  JOIN pg_proc p ON p.oid = f.oid
  JOIN pg_namespace pn ON pn.oid = p.pronamespace
 WHERE n.nspname !~ '^pg_(toast|temp_)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND (e.is_view AND p.provolatile = 'v' OR ",
    of_users_or_leaving!(),
    ")"
);

/// Table, and function that is not built in and that a write calls: in a default, a generated column, a CHECK
/// constraint, an expression or predicate of an index, WHEN of a trigger.
const WRITE_CALLS: &str = concat!(
    "
SELECT DISTINCT e.relation, pn.nspname::text, p.proname::text
  FROM (SELECT d.adrelid, d.adbin::text FROM pg_attrdef d
         UNION ALL
        SELECT a.attrelid, t.typdefaultbin::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         WHERE a.attnum > 0 AND NOT a.attisdropped AND t.typdefaultbin IS NOT NULL
         UNION ALL
        SELECT c.conrelid, c.conbin::text FROM pg_constraint c WHERE c.conrelid <> 0 AND c.conbin IS NOT NULL
         UNION ALL
        SELECT i.indrelid, concat(i.indexprs::text, i.indpred::text) FROM pg_index i
         WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
         UNION ALL
        SELECT t.tgrelid, t.tgqual::text FROM pg_trigger t WHERE t.tgqual IS NOT NULL) AS e(relation, tree)
  CROSS JOIN LATERAL ",
    functions_of_tree!(),
    " AS f(oid)
  JOIN pg_proc p ON p.oid = f.oid
  JOIN pg_namespace pn ON pn.oid = p.pronamespace
 WHERE ",
    of_users_or_leaving!()
);

/// Operator, and function of the user's that it calls.
const OPERATOR_CALLS: &str = "
SELECT DISTINCT o.oprname::text, n.nspname::text, p.proname::text
  FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.oid >= 16384";

/// Source, target, whether it is made unwritten, and function of the user's that the cast calls.
const CAST_CALLS: &str = "
SELECT s.typname::text, t.typname::text, c.castcontext <> 'e', n.nspname::text, p.proname::text
  FROM pg_cast c JOIN pg_type s ON s.oid = c.castsource JOIN pg_type t ON t.oid = c.casttarget
  JOIN pg_proc p ON p.oid = c.castfunc JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.oid >= 16384";

/// Domain, and function of the user's that its CHECK constraints call, or those of the domains below it.
const DOMAIN_CALLS: &str = concat!(
    "
WITH RECURSIVE below(domain, base) AS (
  SELECT t.oid, t.oid FROM pg_type t WHERE t.typtype = 'd'
  UNION ALL
  SELECT b.domain, t.typbasetype FROM below b JOIN pg_type t ON t.oid = b.base WHERE t.typbasetype <> 0)
SELECT DISTINCT t.typname::text, pn.nspname::text, p.proname::text
  FROM (SELECT b.domain, c.conbin::text FROM below b JOIN pg_constraint c ON c.contypid = b.base) AS e(domain, tree)
  JOIN pg_type t ON t.oid = e.domain
  CROSS JOIN LATERAL ",
    functions_of_tree!(),
    " AS f(oid)
  JOIN pg_proc p ON p.oid = f.oid
  JOIN pg_namespace pn ON pn.oid = p.pronamespace
 WHERE ",
    of_users_or_leaving!()
);

/// The functions of event triggers that fire.
const EVENT_TRIGGERS: &str = "
SELECT DISTINCT n.nspname::text, p.proname::text
  FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE e.evtenabled IN ('O', 'A')";

const INHERITANCE: &str = "SELECT inhrelid, inhparent FROM pg_inherits ORDER BY inhrelid, inhseqno";

/// Columns of unique indexes that hold for every row at once: no predicate, no expression, valid.
const UNIQUE_SETS: &str = "
SELECT i.indrelid, i.indexrelid, a.attname::text, i.indisprimary AND i.indimmediate,
       i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL,
       i.indisexclusion OR EXISTS (SELECT FROM pg_collation l
                                    WHERE l.oid = ANY (i.indcollation::oid[]) AND NOT l.collisdeterministic)
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
  LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE (i.indisunique OR i.indisexclusion) AND i.indisvalid
   AND k.place <= i.indnkeyatts AND c.oid >= 16384
   AND n.nspname !~ '^pg_(toast|temp_)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY i.indrelid, NOT i.indisprimary, i.indexrelid, k.place";

/// Foreign keys with actions, by the table that is referenced: the one that refers, its columns, those that they refer to in the
/// same order, the actions, and the columns that the one ON DELETE sets (since PostgreSQL 15 not always all).
const FOREIGN_KEYS: &str = "
SELECT f.confrelid, f.conrelid,
       (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(f.conkey) WITH ORDINALITY AS k(attnum, place)
          JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum),
       (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(f.confkey) WITH ORDINALITY AS k(attnum, place)
          JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum),
       f.confupdtype::text, f.confdeltype::text,
       (SELECT array_agg(a.attname::text) FROM pg_attribute a
         WHERE a.attrelid = f.conrelid AND to_jsonb(f)->'confdelsetcols' @> to_jsonb(a.attnum))
  FROM pg_constraint f
 WHERE f.contype = 'f' AND f.conrelid >= 16384 AND (f.confupdtype IN ('c', 'n', 'd') OR f.confdeltype IN ('c', 'n', 'd'))
 ORDER BY f.confrelid, f.oid";

/// One row for each name: overloads together. 0 immutable, 1 stable, 2 volatile.
macro_rules! functions_where {
    ($condition:literal, $takes_rows:literal) => {
        concat!(
            "
SELECT n.nspname::text, p.proname::text,
       max(CASE p.provolatile WHEN 'i' THEN 0 WHEN 's' THEN 1 ELSE 2 END)::int4,
       bool_or(p.prokind = 'p'), bool_or(p.prokind = 'a'), bool_or(p.prokind = 'w'),
       bool_and(n.nspname = 'pg_catalog' AND p.oid < 16384), bool_or(p.proretset), bool_or(",
            $takes_rows,
            ")
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname !~ '^pg_(toast|temp_)' AND ",
            $condition,
            "
 GROUP BY 1, 2"
        )
    };
}

/// Functions that the server has had from the beginning.
pub(super) const BUILT_IN: &str = functions_where!("p.oid < 16384", "false");

/// All others; without those of citext that are called like PostgreSQL's own, and do for their type what those do for text;
/// and without what pgcrypto brings that PostgreSQL has itself.
const FUNCTIONS: &str = functions_where!(
    "p.oid >= 16384 AND NOT EXISTS (
       SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
          AND d.refclassid = 'pg_extension'::regclass AND e.extname IN ('citext', 'pgcrypto')
          AND EXISTS (SELECT FROM pg_proc o WHERE o.proname = p.proname AND o.pronamespace = 'pg_catalog'::regnamespace))",
    "EXISTS (SELECT FROM unnest(p.proargtypes) AS a JOIN pg_type t ON t.oid = a WHERE t.typtype IN ('c', 'p'))"
);

/// Bodies of the functions that are not PostgreSQL's own, overloads together, with their parameters' defaults; for an
/// aggregate, the names of the functions that it calls. What is in a language that is not read for its SQL gets the word
/// of dynamic SQL; but for functions in C that are immutable, and those of extensions that read no tables of the user's.
const DEFINITIONS: &str = "
SELECT n.nspname::text, p.proname::text, string_agg(CASE
         WHEN p.prokind = 'a' THEN
           (SELECT string_agg(s.proname::text, ' ') FROM pg_aggregate a JOIN pg_proc s ON s.oid IN (
              a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn,
              a.aggminvtransfn, a.aggmfinalfn)
             WHERE a.aggfnoid = p.oid)
         WHEN l.lanname = 'internal' THEN p.prosrc
         WHEN l.lanname = 'c' THEN CASE WHEN p.provolatile = 'i' OR x.harmless THEN '' ELSE 'execute' END
         WHEN l.lanname NOT IN ('sql', 'plpgsql') THEN p.prosrc || ' execute'
         WHEN p.prosrc = '' THEN pg_get_functiondef(p.oid)
         ELSE concat(p.prosrc, ' ', pg_get_expr(p.proargdefaults, 0)) END, ' ')
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                      AND d.refclassid = 'pg_extension'::regclass AND e.extname IN (
                        'adminpack', 'amcheck', 'bloom', 'btree_gin', 'btree_gist', 'citext', 'cube', 'earthdistance',
                        'fuzzystrmatch', 'hstore', 'insert_username', 'intagg', 'intarray', 'isn', 'ltree',
                        'moddatetime', 'pageinspect', 'pg_buffercache', 'pg_freespacemap', 'pg_stat_statements',
                        'pg_trgm', 'pg_visibility', 'pgcrypto', 'pgrowlocks', 'pgstattuple', 'postgis',
                        'postgis_raster', 'seg', 'sslinfo', 'tsm_system_rows', 'tsm_system_time', 'unaccent',
                        'uuid-ossp', 'vector')) AS harmless) AS x
 WHERE n.nspname !~ '^pg_(toast|temp_)' AND p.oid >= 16384
 GROUP BY 1, 2";

/// User-defined types; labels of enums in their order; what the binary form of each is made of; defaults of domains.
const TYPES: &str = "
WITH enum AS MATERIALIZED (
    SELECT e.enumtypid AS type, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
      FROM pg_enum e GROUP BY 1),
  range(type, element) AS MATERIALIZED (
    SELECT r.rngtypid, r.rngsubtype FROM pg_range r
    UNION ALL
    SELECT (to_jsonb(r)->>'rngmultitypid')::oid, r.rngsubtype FROM pg_range r)
SELECT t.oid, n.nspname::text, t.typname::text, enum.labels,
       CASE WHEN t.typoutput = 'array_out'::regproc THEN 'a' ELSE t.typtype::text END, t.typelem, t.typbasetype,
       range.element, CASE WHEN t.typtype = 'd' THEN t.typdefault END
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN enum ON enum.type = t.oid
  LEFT JOIN range ON range.type = t.oid
 WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp_)'";

/// One number that changes whenever one of the rows above may have changed: each catalog row's identity and the
/// transaction that wrote it. Vacuum and analyze write in place and do not change it. Temporary objects are left out.
const FINGERPRINT: &str = concat!(
    "
WITH here AS (SELECT n.oid, n.xmin FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp_|toast_temp_)'),
     rel AS (SELECT c.oid, c.xmin FROM pg_class c JOIN here ON here.oid = c.relnamespace WHERE c.oid >= 16384)
SELECT hashtextextended(concat(sum(hashint8extended(id::int8, x::text::int8)),
                               (SELECT string_agg(s.reset_val, ',' ORDER BY s.name) FROM pg_settings s WHERE ",
    session_defaults!(),
    ")), 0)
  FROM (SELECT oid AS id, xmin AS x FROM here
        UNION ALL SELECT oid, xmin FROM rel
        UNION ALL SELECT a.attrelid, a.xmin FROM pg_attribute a JOIN rel ON rel.oid = a.attrelid WHERE a.attnum > 0
        UNION ALL SELECT d.oid, d.xmin FROM pg_attrdef d JOIN rel ON rel.oid = d.adrelid
        UNION ALL SELECT i.indexrelid, i.xmin FROM pg_index i JOIN rel ON rel.oid = i.indrelid
        UNION ALL SELECT i.inhrelid, i.xmin FROM pg_inherits i
        UNION ALL SELECT t.oid, t.xmin FROM pg_trigger t JOIN rel ON rel.oid = t.tgrelid
        UNION ALL SELECT r.oid, r.xmin FROM pg_rewrite r JOIN rel ON rel.oid = r.ev_class
        UNION ALL SELECT p.oid, p.xmin FROM pg_proc p WHERE p.oid >= 16384
        UNION ALL SELECT p.oid, p.xmin FROM pg_policy p
        UNION ALL SELECT e.oid, e.xmin FROM pg_event_trigger e
        UNION ALL SELECT o.oid, o.xmin FROM pg_operator o WHERE o.oid >= 16384
        UNION ALL SELECT c.oid, c.xmin FROM pg_cast c WHERE c.oid >= 16384
        UNION ALL SELECT c.oid, c.xmin FROM pg_constraint c WHERE c.contypid <> 0 AND c.oid >= 16384
        UNION ALL SELECT t.oid, t.xmin FROM pg_type t JOIN here ON here.oid = t.typnamespace WHERE t.oid >= 16384
        UNION ALL SELECT e.oid, e.xmin FROM pg_enum e
        UNION ALL SELECT o.oid, o.xmin FROM pg_collation o WHERE o.oid >= 16384
        UNION ALL SELECT s.setdatabase, s.xmin FROM pg_db_role_setting s) AS rows"
);
