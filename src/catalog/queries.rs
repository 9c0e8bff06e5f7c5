//! The texts of the catalog queries, good for PostgreSQL 13 to 18.
//!
//! They run with `search_path = pg_catalog`, so every name is the system's own. Columns that only some versions have
//! are read through `to_jsonb(row)`. *User schemas* are all but pg_catalog, information_schema, pg_toast and the
//! temporary ones.
//!
//! Built-in objects are pinned and so have no rows in pg_depend: the functions that an expression calls are found in
//! its node tree (`:funcid 1234`, `:opno 96`), where every call stands.

/// Server version, database, encoding, and this session's search_path as it was before any role's setting.
pub(super) const SERVER: &str = "
SELECT current_setting('server_version_num')::int4, current_setting('server_encoding'),
       j->>'datlocprovider', j->>'datcollate', coalesce(j->>'datlocale', j->>'daticulocale'), j->>'datcollversion',
       (SELECT CASE WHEN s.source IN ('default', 'configuration file', 'command line') THEN s.reset_val
                    ELSE s.boot_val END
          FROM pg_settings s WHERE s.name = 'search_path')
  FROM (SELECT to_jsonb(d) FROM pg_database d WHERE d.datname = current_database()) AS d(j)";

/// ALTER ROLE, ALTER DATABASE and ALTER ROLE IN DATABASE … SET search_path.
pub(super) const ROLE_SETTINGS: &str = "
SELECT r.rolname::text, s.setdatabase <> 0, substr(c.setting, strpos(c.setting, '=') + 1)
  FROM pg_db_role_setting s
  CROSS JOIN LATERAL unnest(s.setconfig) AS c(setting)
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE c.setting LIKE 'search_path=%'
   AND (s.setrole = 0 OR r.oid IS NOT NULL)
   AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))";

pub(super) const RELATIONS: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity,
       f.schemas, f.names,
       EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN')
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
            THEN quote_ident(con.nspname) || '.' || quote_ident(co.collname) END
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
 WHERE a.attnum > 0 AND NOT a.attisdropped
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname !~ '^pg_(toast|temp_)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY a.attrelid, a.attnum";

/// View, and relation that it names itself. Only what is not pinned: not the system's own tables.
pub(super) const VIEW_READS: &str = "
SELECT DISTINCT r.ev_class, d.refobjid
  FROM pg_rewrite r
  JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class";

/// View of a user schema, and function that its definition calls and that is volatile or not built in.
pub(super) const VIEW_CALLS: &str = "
SELECT DISTINCT r.ev_class, pn.nspname::text, p.proname::text
  FROM pg_rewrite r
  JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
  JOIN pg_namespace n ON n.oid = v.relnamespace
  CROSS JOIN LATERAL (
    SELECT m[1]::oid FROM regexp_matches(r.ev_action::text, ':(?:funcid|aggfnoid|winfnoid) ([0-9]+)', 'g') m
    UNION
    SELECT o.oprcode FROM regexp_matches(r.ev_action::text, ':opno ([0-9]+)', 'g') m
      JOIN pg_operator o ON o.oid = m[1]::oid) AS f(oid)
  JOIN pg_proc p ON p.oid = f.oid
  JOIN pg_namespace pn ON pn.oid = p.pronamespace
 WHERE n.nspname !~ '^pg_(toast|temp_)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND (p.provolatile = 'v' OR p.oid >= 16384)";

pub(super) const INHERITANCE: &str =
    "SELECT inhrelid, inhparent FROM pg_inherits ORDER BY inhrelid, inhseqno";

/// Columns of unique indexes that hold for every row at once: no predicate, no expression, valid.
pub(super) const UNIQUE_SETS: &str = "
SELECT i.indrelid, i.indexrelid, a.attname::text
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
       bool_and(n.nspname = 'pg_catalog' AND p.oid < 16384)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname !~ '^pg_(toast|temp_)'
 GROUP BY 1, 2";

/// Definitions of the functions that are not PostgreSQL's own, overloads together. Those in a language that is not
/// read for its SQL get the word of dynamic SQL.
pub(super) const DEFINITIONS: &str = "
SELECT n.nspname::text, p.proname::text,
       string_agg(pg_get_functiondef(p.oid) || CASE WHEN l.lanname IN ('sql', 'plpgsql') THEN '' ELSE ' execute' END, ' ')
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname !~ '^pg_(toast|temp_)' AND p.oid >= 16384 AND p.prokind <> 'a' AND l.lanname NOT IN ('c', 'internal')
 GROUP BY 1, 2";

/// User-defined types; labels of enums in their order.
pub(super) const TYPES: &str = "
SELECT t.oid, n.nspname::text, t.typname::text,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp_)'";

/// One number that changes whenever one of the rows above may have changed: each catalog row's identity and the
/// transaction that wrote it. Vacuum and analyze write in place and do not change it. Temporary objects are left out.
pub(super) const FINGERPRINT: &str = "
WITH here AS (SELECT n.oid, n.xmin FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp_|toast_temp_)'),
     rel AS (SELECT c.oid, c.xmin FROM pg_class c JOIN here ON here.oid = c.relnamespace WHERE c.oid >= 16384)
SELECT hashtextextended(coalesce(sum(hashint8extended(id::int8, x::text::int8)), 0)::text, 0)
  FROM (SELECT oid AS id, xmin AS x FROM here
        UNION ALL SELECT oid, xmin FROM rel
        UNION ALL SELECT a.attrelid, a.xmin FROM pg_attribute a JOIN rel ON rel.oid = a.attrelid WHERE a.attnum > 0
        UNION ALL SELECT d.oid, d.xmin FROM pg_attrdef d JOIN rel ON rel.oid = d.adrelid
        UNION ALL SELECT i.indexrelid, i.xmin FROM pg_index i JOIN rel ON rel.oid = i.indrelid
        UNION ALL SELECT i.inhrelid, i.xmin FROM pg_inherits i
        UNION ALL SELECT t.oid, t.xmin FROM pg_trigger t JOIN rel ON rel.oid = t.tgrelid
        UNION ALL SELECT r.oid, r.xmin FROM pg_rewrite r JOIN rel ON rel.oid = r.ev_class
        UNION ALL SELECT p.oid, p.xmin FROM pg_proc p WHERE p.oid >= 16384
        UNION ALL SELECT t.oid, t.xmin FROM pg_type t JOIN here ON here.oid = t.typnamespace WHERE t.oid >= 16384
        UNION ALL SELECT e.oid, e.xmin FROM pg_enum e
        UNION ALL SELECT o.oid, o.xmin FROM pg_collation o WHERE o.oid >= 16384
        UNION ALL SELECT s.setdatabase, s.xmin FROM pg_db_role_setting s) AS rows";
