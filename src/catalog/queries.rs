//! The texts of the catalog queries, good for PostgreSQL 13 to 18.
//!
//! They run with `search_path = pg_catalog`, so every name is the system's own. Columns that only some versions have
//! are read through `to_jsonb(row)`. *User schemas* are all but pg_catalog, information_schema, pg_toast and the
//! temporary ones.
//!
//! Built-in objects are pinned and so have no rows in pg_depend: the functions that an expression calls are found in
//! its node tree (`:funcid 1234`, `:opno 96`), where every call stands.

/// Server version, database, encoding, and the locales by which values are shown and words are found.
pub(super) const SERVER: &str = "
SELECT current_setting('server_version_num')::int4, current_setting('server_encoding'),
       j->>'datlocprovider', j->>'datcollate', coalesce(j->>'datlocale', j->>'daticulocale'), j->>'datcollversion',
       concat_ws(', ', current_setting('lc_monetary'), current_setting('lc_numeric'), current_setting('lc_time'),
                 current_setting('default_text_search_config'))
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

/// ALTER ROLE, ALTER DATABASE and ALTER ROLE IN DATABASE … SET.
pub(super) const ROLE_SETTINGS: &str = "
SELECT r.rolname::text, s.setdatabase <> 0, lower(split_part(c.setting, '=', 1)),
       substr(c.setting, strpos(c.setting, '=') + 1)
  FROM pg_db_role_setting s
  CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE (s.setrole = 0 OR r.oid IS NOT NULL)
   AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))";

pub(super) const RELATIONS: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity,
       f.schemas, f.names,
       EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'),
       CASE WHEN c.relkind = 'v' AND n.nspname NOT IN ('pg_catalog', 'information_schema') THEN pg_get_viewdef(c.oid) END
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(pn.nspname::text ORDER BY t.oid), '{}') AS schemas,
           coalesce(array_agg(p.proname::text ORDER BY t.oid), '{}') AS names
      FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace pn ON pn.oid = p.pronamespace
     WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D') f
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
   AND n.nspname !~ '^pg_(toast|temp_)'";

/// Columns of user schemas, in their order.
pub(super) const COLUMNS: &str = "
SELECT a.attrelid, a.attname::text, a.atttypid, format_type(a.atttypid, a.atttypmod), a.atttypmod, a.attnotnull,
       coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault),
       coalesce(f.volatile, false), coalesce(f.stable, false),
       a.attgenerated <> '', a.attidentity <> '',
       co.collname::text, j->>'collprovider', coalesce(j->>'collcollate', j->>'colllocale', j->>'colliculocale'),
       co.collisdeterministic,
       CASE WHEN j->>'collprovider' <> 'd' THEN pg_collation_actual_version(co.oid) END,
       CASE WHEN a.attcollation <> t.typcollation
            THEN quote_ident(con.nspname) || '.' || quote_ident(co.collname) END,
       coalesce(base.type, a.atttypid), coalesce(base.modifier, a.atttypmod)
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN pg_collation co ON co.oid = a.attcollation
  LEFT JOIN pg_namespace con ON con.oid = co.collnamespace
  LEFT JOIN LATERAL to_jsonb(co) AS j ON true
  LEFT JOIN LATERAL (SELECT coalesce(d.adbin, t.typdefaultbin)::text) AS e(tree) ON true
  LEFT JOIN LATERAL (
    SELECT coalesce(bool_or(p.provolatile = 'v'), false) OR e.tree LIKE '%NEXTVALEXPR%' AS volatile,
           coalesce(bool_or(p.provolatile = 's'), false) OR e.tree ~ 'SQLVALUEFUNCTION|COERCEVIAIO' AS stable
      FROM pg_proc p
     WHERE p.oid IN (SELECT m[1]::oid FROM regexp_matches(e.tree, ':funcid ([0-9]+)', 'g') m
                     UNION ALL
                     SELECT o.oprcode FROM regexp_matches(e.tree, ':opno ([0-9]+)', 'g') m
                       JOIN pg_operator o ON o.oid = m[1]::oid)
  ) AS f ON e.tree IS NOT NULL
  LEFT JOIN LATERAL (
    WITH RECURSIVE below(type, modifier) AS (
      SELECT t.typbasetype, t.typtypmod
      UNION ALL
      SELECT bt.typbasetype, bt.typtypmod
        FROM below JOIN pg_type bt ON bt.oid = below.type WHERE bt.typtype = 'd')
    SELECT type, modifier FROM below JOIN pg_type bt ON bt.oid = below.type WHERE bt.typtype <> 'd'
  ) AS base ON t.typtype = 'd'
 WHERE a.attnum > 0 AND NOT a.attisdropped
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname !~ '^pg_(toast|temp_)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY a.attrelid, a.attnum";

/// View, and relation that it names itself; table, and relation that its row security names. Only what is not pinned:
/// not the system's own tables.
pub(super) const VIEW_READS: &str = "
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

/// The oids of the functions in the node tree `e.tree`, as a sub-select.
macro_rules! functions_of_tree {
    () => {
        "(SELECT m[1]::oid FROM regexp_matches(e.tree, ':(?:funcid|aggfnoid|winfnoid) ([0-9]+)', 'g') m
    UNION
    SELECT o.oprcode FROM regexp_matches(e.tree, ':opno ([0-9]+)', 'g') m
      JOIN pg_operator o ON o.oid = m[1]::oid)"
    };
}

/// View of a user schema, and function that its definition calls and that is volatile or not built in; table, and
/// function that its row security calls and that is not built in.
pub(super) const VIEW_CALLS: &str = concat!(
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
   AND (e.is_view AND p.provolatile = 'v' OR p.oid >= 16384)"
);

/// Table, and function that is not built in and that a write calls: in a default, a generated column, a CHECK
/// constraint, an expression or predicate of an index, WHEN of a trigger.
pub(super) const WRITE_CALLS: &str = concat!(
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
 WHERE p.oid >= 16384"
);

/// Operator, and function of the user's that it calls.
pub(super) const OPERATOR_CALLS: &str = "
SELECT DISTINCT o.oprname::text, n.nspname::text, p.proname::text
  FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.oid >= 16384";

/// Source, target, whether it is made unwritten, and function of the user's that the cast calls.
pub(super) const CAST_CALLS: &str = "
SELECT s.typname::text, t.typname::text, c.castcontext <> 'e', n.nspname::text, p.proname::text
  FROM pg_cast c JOIN pg_type s ON s.oid = c.castsource JOIN pg_type t ON t.oid = c.casttarget
  JOIN pg_proc p ON p.oid = c.castfunc JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.oid >= 16384";

/// Domain, and function of the user's that its CHECK constraints call, or those of the domains below it.
pub(super) const DOMAIN_CALLS: &str = concat!(
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
 WHERE p.oid >= 16384"
);

pub(super) const INHERITANCE: &str =
    "SELECT inhrelid, inhparent FROM pg_inherits ORDER BY inhrelid, inhseqno";

/// Columns of unique indexes that hold for every row at once: no predicate, no expression, valid.
pub(super) const UNIQUE_SETS: &str = "
SELECT i.indrelid, i.indexrelid, a.attname::text, i.indisprimary AND i.indimmediate
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
   AND k.place <= i.indnkeyatts
   AND n.nspname !~ '^pg_(toast|temp_)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY i.indrelid, NOT i.indisprimary, i.indexrelid, k.place";

/// One row for each name: overloads together. 0 immutable, 1 stable, 2 volatile.
pub(super) const FUNCTIONS: &str = "
SELECT n.nspname::text, p.proname::text,
       max(CASE p.provolatile WHEN 'i' THEN 0 WHEN 's' THEN 1 ELSE 2 END)::int4,
       bool_or(p.prokind = 'p'), bool_or(p.prokind = 'a'), bool_or(p.prokind = 'w'),
       bool_and(n.nspname = 'pg_catalog' AND p.oid < 16384), bool_or(p.proretset)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname !~ '^pg_(toast|temp_)'
 GROUP BY 1, 2";

/// Bodies of the functions that are not PostgreSQL's own, overloads together, with their parameters' defaults; for an
/// aggregate, the names of the functions that it calls. What is in a language that is not read for its SQL gets the word
/// of dynamic SQL; but for functions in C that are immutable, and those of extensions that read no tables of the user's.
pub(super) const DEFINITIONS: &str = "
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

/// User-defined types; labels of enums in their order; what the binary form of each is made of.
pub(super) const TYPES: &str = "
SELECT t.oid, n.nspname::text, t.typname::text,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
       CASE WHEN t.typoutput = 'array_out'::regproc THEN 'a' ELSE t.typtype::text END, t.typelem, t.typbasetype,
       (SELECT r.rngsubtype FROM pg_range r
         WHERE r.rngtypid = t.oid OR (to_jsonb(r)->>'rngmultitypid')::oid = t.oid)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp_)'";

/// One number that changes whenever one of the rows above may have changed: each catalog row's identity and the
/// transaction that wrote it. Vacuum and analyze write in place and do not change it. Temporary objects are left out.
pub(super) const FINGERPRINT: &str = concat!(
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
        UNION ALL SELECT o.oid, o.xmin FROM pg_operator o WHERE o.oid >= 16384
        UNION ALL SELECT c.oid, c.xmin FROM pg_cast c WHERE c.oid >= 16384
        UNION ALL SELECT c.oid, c.xmin FROM pg_constraint c WHERE c.contypid <> 0 AND c.oid >= 16384
        UNION ALL SELECT t.oid, t.xmin FROM pg_type t JOIN here ON here.oid = t.typnamespace WHERE t.oid >= 16384
        UNION ALL SELECT e.oid, e.xmin FROM pg_enum e
        UNION ALL SELECT o.oid, o.xmin FROM pg_collation o WHERE o.oid >= 16384
        UNION ALL SELECT s.setdatabase, s.xmin FROM pg_db_role_setting s) AS rows"
);
