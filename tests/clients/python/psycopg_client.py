"""psycopg 3: simple and extended protocol, text and binary, prepared statements, pipelines, COPY, cursors, and asyncio."""

import asyncio
import datetime
import decimal
import ipaddress
import threading
import uuid

import psycopg
from psycopg import sql
from psycopg.rows import dict_row, namedtuple_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from report import PLACES, Report, told

report = Report()
REGIONS = list(PLACES)


def connect(**keywords):
    return psycopg.connect("", **keywords)


def error_of(work):
    """What goes wrong, which is expected."""
    try:
        return work()
    except psycopg.Error as error:
        return told(error)


@report.feature("connection: parameters")
def _():
    with connect() as connection:
        info = connection.info
        names = ["server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes",
                 "standard_conforming_strings", "is_superuser", "session_authorization", "IntervalStyle",
                 "in_hot_standby", "default_transaction_read_only", "scram_iterations", "search_path"]
        return [info.parameter_status(name) for name in names], info.server_version, info.encoding, info.status.name


@report.feature("connection: identity")
def _():
    with connect() as connection:
        return connection.execute("SELECT current_user, session_user, current_database() = %s, current_schema()",
                                  [connection.info.dbname]).fetchone()


@report.feature("connection: backend pid")
def _():
    with connect() as connection:
        return connection.info.backend_pid == connection.execute("SELECT pg_backend_pid()").fetchone()[0]


@report.feature("connection: options at the start")
def _():
    with connect(options="-c statement_timeout=5s -c search_path=pg_catalog,public", application_name="a client") as connection:
        return [connection.execute(f"SHOW {name}").fetchone()[0]
                for name in ("statement_timeout", "search_path", "application_name")]


@report.feature("connection: wrong password")
def _():
    return refused_login(password="wrong")


@report.feature("connection: unknown database")
def _():
    return refused_login(dbname="no_such_database")


def refused_login(**keywords):
    try:
        return connect(**keywords).close()
    except psycopg.OperationalError as error:
        return str(error).rsplit("FATAL:", 1)[-1].splitlines()[0].strip()


@report.feature("values: text format")
def _():
    return values(False)


@report.feature("values: binary format")
def _():
    return values(True)


def values(binary):
    samples = [1, -2**40, 1.5, decimal.Decimal("12.340"), "Straße", b"\x00\xff", True, None, datetime.date(2024, 2, 29),
               datetime.time(1, 2, 3), datetime.datetime(2024, 1, 2, 3, 4, 5),
               datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc), datetime.timedelta(days=1, seconds=2),
               uuid.UUID(int=7), [1, 2, 3], ["a", None], Jsonb({"k": [1]}), ipaddress.ip_address("10.0.0.1")]
    with connect() as connection, connection.cursor(binary=binary) as cursor:
        cursor.execute("SET TimeZone TO 'UTC'")
        cursor.execute("SELECT " + ", ".join(["%s"] * len(samples)), samples)
        names = [column.type_display for column in cursor.description]
        return cursor.fetchone(), names


@report.feature("values: ranges, composites, enums")
def _():
    from psycopg.types.composite import CompositeInfo, register_composite
    from psycopg.types.enum import EnumInfo, register_enum
    from psycopg.types.range import Range

    with connect(autocommit=True) as connection:
        connection.execute("DROP TYPE IF EXISTS psy_pair; DROP TYPE IF EXISTS psy_mood")
        connection.execute("CREATE TYPE psy_mood AS ENUM ('sad', 'glad')")
        connection.execute("CREATE TYPE psy_pair AS (a int, m psy_mood)")
        register_enum(EnumInfo.fetch(connection, "psy_mood"), connection)
        register_composite(CompositeInfo.fetch(connection, "psy_pair"), connection)
        found = []
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            row = cursor.execute("SELECT (1, 'glad')::psy_pair, ARRAY['sad']::psy_mood[], int4range(1, 5), %s::int8range",
                                 [Range(2, 9)]).fetchone()
            found.append(str(row))
        connection.execute("DROP TYPE psy_pair; DROP TYPE psy_mood")
        return found


@report.feature("statements: prepared by the server")
def _():
    with connect(autocommit=True, prepare_threshold=1) as connection:
        answers = [connection.execute("SELECT %s::int + 1", [n]).fetchone()[0] for n in range(8)]
        return answers


@report.feature("statements: more than the cache holds")
def _():
    with connect(autocommit=True, prepare_threshold=0) as connection:
        connection.prepared_max = 3
        return [connection.execute(f"SELECT {n % 7} + %s::int", [n]).fetchone()[0] for n in range(20)]


@report.feature("statements: prepared, then the table changes")
def _():
    with connect(autocommit=True, prepare_threshold=0) as connection:
        connection.execute("DROP TABLE IF EXISTS psy_changes")
        connection.execute("CREATE TABLE psy_changes (a int)")
        connection.execute("INSERT INTO psy_changes VALUES (1)")
        found = [connection.execute("SELECT * FROM psy_changes").fetchall()]
        connection.execute("ALTER TABLE psy_changes ADD COLUMN b int DEFAULT 5")
        found.append(error_of(lambda: connection.execute("SELECT * FROM psy_changes").fetchall()))
        connection.execute("DROP TABLE psy_changes")
        return found


@report.feature("statements: PREPARE, EXECUTE, DEALLOCATE")
def _():
    with connect(autocommit=True) as connection:
        connection.execute("PREPARE psy_q (int) AS SELECT $1 * 2")
        found = [connection.execute("EXECUTE psy_q (21)").fetchone(),
                 connection.execute("SELECT name, statement, parameter_types::text FROM pg_prepared_statements "
                                    "WHERE name = 'psy_q'").fetchall()]
        connection.execute("DEALLOCATE psy_q")
        return found, error_of(lambda: connection.execute("EXECUTE psy_q (1)"))


@report.feature("statements: several in one message")
def _():
    with connect(autocommit=True) as connection:
        cursor = connection.execute("SELECT 1; SELECT 2, 3; SET application_name = 'x'; SHOW application_name")
        found = []
        while True:
            found.append((cursor.statusmessage, cursor.fetchall() if cursor.description else None))
            if not cursor.nextset():
                return found


@report.feature("statements: unknown number of rows, comments, empty")
def _():
    with connect(autocommit=True) as connection:
        cursor = connection.execute("")
        found = [cursor.statusmessage, cursor.rowcount]
        cursor = connection.execute("/* only */ SELECT 1 -- a comment")
        return found, cursor.fetchall(), cursor.rowcount


@report.feature("transactions: commit and roll back")
def _():
    with connect(autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS psy_t")
        connection.execute("CREATE TABLE psy_t (id int PRIMARY KEY, v text)")
    with connect() as connection:
        connection.execute("INSERT INTO psy_t VALUES (1, 'kept')")
        connection.commit()
        connection.execute("INSERT INTO psy_t VALUES (2, 'lost')")
        states = [connection.info.transaction_status.name]
        connection.rollback()
        states.append(connection.info.transaction_status.name)
        return states, connection.execute("SELECT id, v FROM psy_t").fetchall()


@report.feature("transactions: savepoints, nested")
def _():
    with connect(autocommit=True) as connection:
        with connection.transaction():
            connection.execute("INSERT INTO psy_t VALUES (10, 'outer')")
            found = []
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO psy_t VALUES (11, 'inner')")
                    connection.execute("INSERT INTO psy_t VALUES (10, 'again')")
            except psycopg.errors.UniqueViolation as error:
                found.append((error.diag.constraint_name, error.diag.table_name, error.diag.message_detail))
            with connection.transaction(force_rollback=True):
                connection.execute("INSERT INTO psy_t VALUES (12, 'undone')")
        return found, connection.execute("SELECT id FROM psy_t ORDER BY id").fetchall()


@report.feature("transactions: failed until rolled back")
def _():
    with connect() as connection:
        found = [error_of(lambda: connection.execute("SELECT nope")), connection.info.transaction_status.name,
                 error_of(lambda: connection.execute("SELECT 1"))]
        connection.rollback()
        return found, connection.execute("SELECT 1").fetchone()


@report.feature("transactions: isolation, read only, deferrable")
def _():
    with connect() as connection:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        connection.read_only = True
        connection.deferrable = True
        found = [connection.execute(f"SHOW transaction_{name}").fetchone()[0]
                 for name in ("isolation", "read_only", "deferrable")]
        return found, error_of(lambda: connection.execute("INSERT INTO psy_t VALUES (99, 'no')"))


@report.feature("transactions: two-phase of the client's own")
def _():
    with connect() as connection:
        connection.tpc_begin(connection.xid(1, "gtrid", "bqual"))
        connection.execute("SELECT 1")
        found = error_of(connection.tpc_prepare)
        if found is None:
            connection.tpc_rollback()
        connection.close()
        return found


@report.feature("pipeline: answers in order")
def _():
    with connect(autocommit=True) as connection, connection.pipeline():
        cursors = [connection.execute("SELECT %s::int, %s::text", [n, f"v{n}"]) for n in range(50)]
        return [cursor.fetchone() for cursor in cursors][-2:]


@report.feature("pipeline: an error skips to the next sync")
def _():
    with connect(autocommit=True) as connection:
        found = []
        try:
            with connection.pipeline() as pipeline:
                first = connection.execute("SELECT 1")
                pipeline.sync()
                connection.execute("SELECT 1/0")
                connection.execute("SELECT 3")
                pipeline.sync()
        except psycopg.Error as error:
            found.append(told(error))
        found.append(first.fetchone())
        return found, connection.execute("SELECT 4").fetchone()


@report.feature("pipeline: a transaction over tables of all kinds")
def _():
    with connect() as connection:
        with connection.pipeline():
            connection.execute("INSERT INTO psy_t VALUES (20, 'piped')")
            cursors = [connection.execute("SELECT count(*) FROM users WHERE region = %s", [region]) for region in REGIONS]
            every = connection.execute("SELECT count(*) FROM users")
            own = connection.execute("SELECT v FROM psy_t WHERE id = 20")
        found = [cursor.fetchone()[0] for cursor in cursors], every.fetchone(), own.fetchone()
        connection.rollback()
        return found


@report.feature("executemany: with results")
def _():
    with connect() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO psy_t VALUES (%s, %s) RETURNING id", [(n, "many") for n in range(30, 35)],
                           returning=True)
        found = [cursor.fetchone()]
        while cursor.nextset():
            found.append(cursor.fetchone())
        count = cursor.rowcount
        connection.rollback()
        return found, count


@report.feature("copy: in, rows and text")
def _():
    with connect() as connection, connection.cursor() as cursor:
        with cursor.copy("COPY psy_t (id, v) FROM STDIN") as copy:
            for n in range(100, 1100):
                copy.write_row((n, f"tab\there {n}" if n % 2 else None))
        found = cursor.rowcount, cursor.statusmessage
        connection.commit()
        return found, connection.execute("SELECT count(*), count(v), max(v) FROM psy_t WHERE id >= 100").fetchone()


@report.feature("copy: in, binary")
def _():
    with connect() as connection, connection.cursor() as cursor:
        with cursor.copy("COPY psy_t (id, v) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(2000, 2010):
                copy.write_row((n, "b"))
        found = cursor.rowcount
        connection.rollback()
        return found


@report.feature("copy: out, rows, text and binary")
def _():
    with connect() as connection, connection.cursor() as cursor:
        with cursor.copy("COPY (SELECT id, v FROM psy_t WHERE id < 103 ORDER BY id) TO STDOUT") as copy:
            found = [bytes(block) for block in copy]
        with cursor.copy("COPY (SELECT id, v FROM psy_t WHERE id < 103 ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            return found, list(copy.rows())


@report.feature("copy: in, given up by the client")
def _():
    with connect() as connection, connection.cursor() as cursor:
        def work():
            with cursor.copy("COPY psy_t (id, v) FROM STDIN") as copy:
                copy.write_row((3000, "x"))
                raise KeyError("the client has had enough")
        try:
            found = work()
        except KeyError as error:
            found = str(error)
        connection.rollback()
        return found, connection.execute("SELECT count(*) FROM psy_t WHERE id = 3000").fetchone()


@report.feature("copy: in, refused by the server half way")
def _():
    with connect() as connection, connection.cursor() as cursor:
        def work():
            with cursor.copy("COPY psy_t (id, v) FROM STDIN") as copy:
                for n in range(4000, 9000):
                    copy.write_row((n if n != 4100 else 4099, "x" * 100))
        found = error_of(work)
        connection.rollback()
        return found, connection.execute("SELECT count(*) FROM psy_t WHERE id >= 4000").fetchone()


@report.feature("copy: in, sharded, rows of every region")
def _():
    with connect() as connection, connection.cursor() as cursor:
        with cursor.copy("COPY users (user_id, name, email, latitude, longitude, region) FROM STDIN") as copy:
            for n in range(200):
                region = REGIONS[n % 4]
                copy.write_row((uuid.UUID(int=10**6 + n), f"psy {n}", "p@x", *PLACES[region][:2], region))
        found = cursor.rowcount
        connection.commit()
        rows = connection.execute("SELECT region, count(*) FROM users WHERE email = 'p@x' GROUP BY region ORDER BY region")
        return found, rows.fetchall()


@report.feature("copy: in, sharded, binary")
def _():
    with connect() as connection, connection.cursor() as cursor:
        with cursor.copy("COPY users (user_id, name, email, latitude, longitude, region) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["uuid", "varchar", "varchar", "float8", "float8", "varchar"])
            for n in range(8):
                region = REGIONS[n % 4]
                copy.write_row((uuid.UUID(int=2 * 10**6 + n), f"bin {n}", "b@x", *PLACES[region][:2], region))
        found = cursor.rowcount
        connection.commit()
        return found, connection.execute("SELECT count(*), count(DISTINCT region) FROM users WHERE email = 'b@x'").fetchone()


@report.feature("copy: out, sharded, all shards")
def _():
    with connect() as connection, connection.cursor() as cursor:
        with cursor.copy("COPY users (name, region) TO STDOUT (FORMAT csv, HEADER)") as copy:
            lines = b"".join(copy).splitlines()
        with cursor.copy("COPY (SELECT name FROM users WHERE email = 'b@x' ORDER BY name) TO STDOUT") as copy:
            ordered = b"".join(copy)
        return lines[0], len(lines), sum(b",ap-south" in line for line in lines), ordered


@report.feature("cursor: of the server, named")
def _():
    with connect() as connection:
        with connection.cursor("psy_named") as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT g FROM generate_series(1, %s) g", [25])
            found = [cursor.fetchone(), cursor.fetchmany(5), len(cursor.fetchall())]
        with connection.cursor("psy_scroll", scrollable=True) as cursor:
            cursor.execute("SELECT g FROM generate_series(1, 9) g")
            cursor.scroll(6)
            found.append(cursor.fetchone())
            cursor.scroll(0, mode="absolute")
            found.append(cursor.fetchone())
        return found


@report.feature("cursor: WITH HOLD, after the commit")
def _():
    with connect() as connection:
        cursor = connection.cursor("psy_held", withhold=True)
        cursor.execute("SELECT g FROM generate_series(1, 6) g")
        found = [cursor.fetchmany(2)]
        connection.commit()
        found.append(cursor.fetchmany(2))
        cursor.close()
        connection.commit()
        return found


@report.feature("cursor: WITH HOLD, over several shards")
def _():
    with connect() as connection:
        cursor = connection.cursor("psy_held_shards", withhold=True)
        cursor.execute("SELECT name, region FROM users WHERE email = 'p@x' ORDER BY name, user_id")
        found = [cursor.fetchmany(2)]
        connection.commit()
        found.append(cursor.fetchmany(3))
        cursor.close()
        connection.commit()
        return found


@report.feature("statements: PREPARE and EXECUTE of sharded rows")
def _():
    with connect(autocommit=True) as connection:
        connection.execute("PREPARE psy_named (text) AS SELECT count(*), max(name) FROM users "
                           "WHERE region = $1 AND email = 'p@x'")
        connection.execute("PREPARE psy_all AS SELECT region, count(*) FROM users WHERE email = $1 "
                           "GROUP BY region ORDER BY region")
        found = [connection.execute("EXECUTE psy_named ('us-east')").fetchone(),
                 connection.execute("EXECUTE psy_named ('eu-' || 'central')").fetchone(),
                 connection.execute("EXECUTE psy_all ('p@x')").fetchall()]
        connection.execute("DEALLOCATE ALL")
        return found, error_of(lambda: connection.execute("EXECUTE psy_all ('p@x')"))


@report.feature("cursor: of the server, over several shards")
def _():
    with connect() as connection, connection.cursor("psy_shards") as cursor:
        cursor.itersize = 50
        cursor.execute("SELECT name, region FROM users WHERE email = 'p@x' ORDER BY name, user_id")
        return cursor.fetchmany(3), sum(1 for _ in cursor)


@report.feature("cursor: streamed row by row")
def _():
    with connect() as connection, connection.cursor() as cursor:
        found = sum(row[0] for row in cursor.stream("SELECT g FROM generate_series(1, 500) g"))
        return found, sum(1 for _ in cursor.stream("SELECT name FROM users WHERE email = %s", ["p@x"]))


@report.feature("cursor: rows as dictionaries, names, client-side binding")
def _():
    with connect() as connection:
        found = [connection.cursor(row_factory=dict_row).execute("SELECT 1 AS a, 'x' AS b").fetchall(),
                 connection.cursor(row_factory=namedtuple_row).execute("SELECT 2 AS c").fetchone().c]
        with psycopg.ClientCursor(connection) as cursor:
            cursor.execute("SELECT %s, %s, %s", [1, "it's \\ %", None])
            found.append(cursor.fetchone())
        with psycopg.RawCursor(connection) as cursor:
            found.append(cursor.execute("SELECT $1::int + $2::int", [1, 2]).fetchone())
        return found


@report.feature("identifiers: quoted and composed")
def _():
    with connect() as connection:
        connection.execute(sql.SQL("CREATE TEMP TABLE {} ({} int)").format(sql.Identifier("Odd \"name"), sql.Identifier("a b")))
        connection.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier("Odd \"name"), sql.Literal(3)))
        found = connection.execute(sql.SQL("SELECT {} FROM {}").format(sql.Identifier("a b"), sql.Identifier("Odd \"name")))
        return found.fetchall(), found.description[0].name


@report.feature("notify: heard by one who listens")
def _():
    with connect(autocommit=True) as listener, connect(autocommit=True) as speaker:
        listener.execute("LISTEN psy_channel")
        for n in range(3):
            speaker.execute("SELECT pg_notify('psy_channel', %s)", [f"message {n}"])
        speaker.execute("NOTIFY psy_channel, 'last'")
        heard = [(note.channel, note.payload) for note in listener.notifies(timeout=10, stop_after=4)]
        listener.execute("UNLISTEN *")
        return heard


@report.feature("notify: sent at commit, not at rollback")
def _():
    with connect(autocommit=True) as listener, connect() as speaker:
        listener.execute('LISTEN "Psy Two"')
        speaker.execute("SELECT pg_notify('Psy Two', 'lost')")
        speaker.rollback()
        speaker.execute("SELECT pg_notify('Psy Two', 'sent')")
        speaker.commit()
        return [(note.channel, note.payload) for note in listener.notifies(timeout=10, stop_after=1)]


@report.feature("notices: raised by the server")
def _():
    heard = []
    with connect() as connection:
        connection.add_notice_handler(lambda notice: heard.append((notice.severity, notice.sqlstate, notice.message_primary)))
        connection.execute("DO $$ BEGIN RAISE NOTICE 'noted'; RAISE WARNING 'warned'; END $$")
        connection.execute("DROP TABLE IF EXISTS never_there")
    return heard


@report.feature("cancel: a statement that sleeps")
def _():
    return cancelled("SELECT pg_sleep(60)")


@report.feature("cancel: a statement of a region")
def _():
    return cancelled("SELECT count(pg_sleep(60)) FROM (SELECT FROM users WHERE region = 'ap-south' LIMIT 1) u")


@report.feature("cancel: a statement over all shards")
def _():
    return cancelled("SELECT count(*) FROM users WHERE pg_sleep(60) IS NOT NULL AND email = 'p@x'")


def cancelled(statement):
    with connect() as connection:
        done = threading.Event()

        def cancel():
            # The statement may not have begun: it is asked again.
            while not done.wait(0.1):
                connection.cancel_safe()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        try:
            connection.execute(statement)
            found = "ended by itself"
        except psycopg.Error as error:
            found = told(error)
        finally:
            done.set()
            canceller.join()
        connection.rollback()
    with connect() as connection:
        return found, connection.execute("SELECT 1").fetchone()


@report.feature("timeout: of a statement")
def _():
    with connect(autocommit=True) as connection:
        connection.execute("SET statement_timeout = '50ms'")
        found = error_of(lambda: connection.execute("SELECT pg_sleep(60)"))
        return found, connection.execute("SELECT 1").fetchone()


@report.feature("session: settings last, and go at the end")
def _():
    with connect(autocommit=True) as one, connect(autocommit=True) as two:
        one.execute("SET work_mem = '5MB'; SET psy.own = 'mine'")
        found = []
        for connection in (one, two, one):
            found.append(connection.execute("SELECT current_setting('work_mem'), nullif(current_setting('psy.own', true), '')").fetchone())
        one.execute("SELECT set_config('work_mem', '6MB', false)")
        found.append(one.execute("SHOW work_mem").fetchone())
        one.execute("RESET ALL")
        found.append(one.execute("SELECT current_setting('work_mem'), nullif(current_setting('psy.own', true), '')").fetchone())
        return found


@report.feature("session: SET LOCAL and SET in a failed transaction")
def _():
    with connect() as connection:
        connection.execute("SET LOCAL work_mem = '7MB'")
        connection.commit()
        found = [connection.execute("SHOW work_mem").fetchone()]
        connection.execute("SET work_mem = '8MB'")
        connection.rollback()
        found.append(connection.execute("SHOW work_mem").fetchone())
        return found


@report.feature("session: reported parameters follow SET")
def _():
    with connect(autocommit=True) as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'; SET application_name = 'renamed'")
        found = [connection.info.parameter_status(name) for name in ("TimeZone", "application_name")]
        connection.execute("BEGIN; SET TimeZone = 'UTC'; ROLLBACK")
        return found, connection.info.parameter_status("TimeZone")


@report.feature("session: another client encoding")
def _():
    with connect(autocommit=True) as connection:
        connection.execute("SET client_encoding = 'LATIN1'")
        return connection.info.encoding, connection.execute("SELECT 'Straße'").fetchone()


@report.feature("session: temporary tables")
def _():
    with connect(autocommit=True) as one, connect(autocommit=True) as two:
        one.execute("CREATE TEMP TABLE psy_temp (a int)")
        one.execute("INSERT INTO psy_temp VALUES (1), (2)")
        found = [one.execute("SELECT sum(a) FROM psy_temp").fetchone(),
                 error_of(lambda: two.execute("SELECT * FROM psy_temp"))]
        one.execute("DISCARD TEMP")
        return found, error_of(lambda: one.execute("SELECT * FROM psy_temp"))


@report.feature("session: advisory locks")
def _():
    with connect(autocommit=True) as one, connect(autocommit=True) as two:
        found = [one.execute("SELECT pg_try_advisory_lock(77)").fetchone()[0],
                 two.execute("SELECT pg_try_advisory_lock(77)").fetchone()[0],
                 one.execute("SELECT pg_advisory_unlock(77)").fetchone()[0],
                 two.execute("SELECT pg_try_advisory_lock(77)").fetchone()[0],
                 two.execute("SELECT pg_advisory_unlock_all()").fetchone()[0]]
        with one.transaction():
            one.execute("SELECT pg_advisory_xact_lock(78)")
            found.append(two.execute("SELECT pg_try_advisory_xact_lock(78)").fetchone()[0])
        return found, two.execute("SELECT pg_try_advisory_xact_lock(78)").fetchone()[0]


@report.feature("session: sequences, currval, lastval")
def _():
    with connect(autocommit=True) as connection:
        connection.execute("DROP SEQUENCE IF EXISTS psy_numbers")
        connection.execute("CREATE SEQUENCE psy_numbers")
        found = [connection.execute("SELECT nextval('psy_numbers')").fetchone()]
        with connection.transaction():
            found.append(connection.execute("SELECT nextval('psy_numbers')").fetchone())
            found.append(error_of(lambda: connection.execute("SELECT currval('psy_numbers')").fetchone()))
        return found


@report.feature("session: roles")
def _():
    with connect(autocommit=True) as connection:
        connection.execute("SET SESSION AUTHORIZATION DEFAULT")
        connection.execute("SET ROLE NONE")
        return connection.execute("SELECT current_user = session_user").fetchone()


@report.feature("session: DISCARD ALL")
def _():
    with connect(autocommit=True, prepare_threshold=0) as connection:
        connection.execute("SET work_mem = '9MB'")
        connection.execute("SELECT %s::int", [1])
        connection.execute("DISCARD ALL")
        return connection.execute("SHOW work_mem").fetchone(), connection.execute("SELECT %s::int", [2]).fetchone()


@report.feature("large objects")
def _():
    with connect() as connection:
        oid = connection.execute("SELECT lo_from_bytea(0, %s)", [b"abcdef"]).fetchone()[0]
        descriptor = connection.execute("SELECT lo_open(%s, 131072)", [oid]).fetchone()[0]
        found = connection.execute("SELECT loread(%s, 3)", [descriptor]).fetchone()
        connection.execute("SELECT lo_unlink(%s)", [oid])
        connection.commit()
        return found


@report.feature("routing: one region by parameter, text and binary")
def _():
    with connect() as connection:
        found = []
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            for region in REGIONS:
                cursor.execute("SELECT count(*), min(region), max(region) FROM users WHERE region = %b"
                               if binary else "SELECT count(*), min(region), max(region) FROM users WHERE region = %s", [region])
                found.append(cursor.fetchone())
        return found


@report.feature("routing: several regions by array")
def _():
    with connect() as connection:
        return connection.execute("SELECT region, count(*), avg(rating), sum(total_rides) FROM users WHERE region = ANY(%s) "
                                  "GROUP BY region ORDER BY 1", [["ap-south", "us-west"]]).fetchall()


@report.feature("routing: a position, a geohash")
def _():
    with connect() as connection:
        return (connection.execute("SELECT count(*) FROM rides WHERE pickup_lat BETWEEN %s AND %s AND pickup_lon BETWEEN %s AND %s",
                                   [40.0, 41.5, -75.0, -73.0]).fetchone(),
                connection.execute("SELECT count(*) FROM driver_locations WHERE geohash LIKE 'te7%%'").fetchone())


@report.feature("scatter: order, limit, aggregates, joins")
def _():
    with connect() as connection:
        return [connection.execute("SELECT ride_id, price FROM rides ORDER BY price DESC NULLS LAST, ride_id LIMIT 5 OFFSET 2").fetchall(),
                connection.execute("SELECT status, count(*), sum(price), avg(price) FROM rides GROUP BY status ORDER BY status").fetchall(),
                connection.execute("SELECT count(*) FROM rides r JOIN drivers d USING (driver_id)").fetchall(),
                connection.execute("SELECT DISTINCT region FROM drivers ORDER BY 1").fetchall(),
                connection.execute("WITH busy AS (SELECT driver_id, count(*) n FROM rides GROUP BY 1) SELECT max(n) FROM busy").fetchall()]


@report.feature("writes: insert, update, delete of a sharded row")
def _():
    with connect(autocommit=True) as connection:
        found = []
        for number, (region, (latitude, longitude, geohash)) in enumerate(PLACES.items()):
            with connection.transaction():
                row = connection.execute(
                    "INSERT INTO rides (ride_id, user_id, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon, region, pickup_geohash) "
                    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING region, status",
                    [uuid.UUID(int=number + 1), uuid.UUID(int=9), latitude, longitude, latitude, longitude, region, geohash]).fetchone()
                changed = connection.execute("UPDATE rides SET status = 'completed' WHERE ride_id = %s AND region = %s",
                                             [uuid.UUID(int=number + 1), region]).rowcount
                read = connection.execute("SELECT status FROM rides WHERE ride_id = %s AND region = %s",
                                          [uuid.UUID(int=number + 1), region]).fetchone()
                gone = connection.execute("DELETE FROM rides WHERE ride_id = %s AND region = %s",
                                          [uuid.UUID(int=number + 1), region]).rowcount
            found.append((row, changed, read, gone))
        return found


@report.feature("writes: constraints of a sharded table")
def _():
    latitude, longitude, geohash = PLACES["eu-central"]
    with connect() as connection:
        return error_of(lambda: connection.execute(
            "INSERT INTO rides (user_id, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon, region, pickup_geohash, status) "
            "VALUES (gen_random_uuid(), %s, %s, 0, 0, 'eu-central', %s, 'nonsense')", [latitude, longitude, geohash]))


@report.feature("writes: one statement over several regions")
def _():
    with connect() as connection:
        return error_of(lambda: connection.execute("UPDATE users SET rating = rating WHERE email = 'p@x'").rowcount)


@report.feature("writes: rows of several regions in one INSERT")
def _():
    with connect() as connection:
        return error_of(lambda: connection.execute(
            "INSERT INTO users (name, email, latitude, longitude, region) VALUES "
            "('a', 'two@x', 40.7, -74.0, 'us-east'), ('b', 'two@x', 52.5, 13.4, 'eu-central')").rowcount)


@report.feature("writes: one transaction over several regions")
def _():
    with connect() as connection:
        def work():
            counts = [connection.execute("UPDATE users SET rating = rating WHERE email = 'p@x' AND region = %s", [region]).rowcount
                      for region in REGIONS]
            connection.commit()
            return counts
        return error_of(work)


@report.feature("locks: FOR UPDATE of a region's row, SKIP LOCKED")
def _():
    with connect() as one, connect() as two:
        first = one.execute("SELECT name FROM users WHERE region = 'us-west' AND email = 'p@x' ORDER BY name LIMIT 1 FOR UPDATE").fetchone()
        second = two.execute("SELECT name FROM users WHERE region = 'us-west' AND email = 'p@x' ORDER BY name LIMIT 1 "
                             "FOR UPDATE SKIP LOCKED").fetchone()
        nowait = error_of(lambda: two.execute("SELECT name FROM users WHERE region = 'us-west' AND name = %s FOR UPDATE NOWAIT", first))
        return first, second, nowait


@report.feature("catalog: columns, keys, comments as psycopg users ask")
def _():
    with connect() as connection:
        return [connection.execute("SELECT column_name, data_type, is_nullable FROM information_schema.columns "
                                   "WHERE table_name = 'users' ORDER BY ordinal_position").fetchall(),
                connection.execute("SELECT 'users'::regclass::text, to_regclass('nothing'), 'users'::regclass::oid > 0").fetchone(),
                connection.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'rides' ORDER BY 1").fetchall()]


@report.feature("asyncio: queries at the same time")
async def _():
    async def one(number):
        async with await psycopg.AsyncConnection.connect("", autocommit=True) as connection:
            await connection.execute(f"SET application_name = 'client {number}'")
            total = 0
            for n in range(10):
                cursor = await connection.execute("SELECT %s::int, current_setting('application_name'), "
                                                  "(SELECT count(*) FROM users WHERE region = 'us-east') > 0", [n])
                row = await cursor.fetchone()
                total += row[0] if row[1:] == (f"client {number}", True) else -1000
            return total

    return await asyncio.gather(*(one(number) for number in range(12)))


@report.feature("asyncio: cancelled task")
async def _():
    async with await psycopg.AsyncConnection.connect("", autocommit=True) as connection:
        found = []
        try:
            await asyncio.wait_for(connection.execute("SELECT pg_sleep(60)"), 0.3)
        except asyncio.TimeoutError:
            found.append("cancelled")
        return found, await (await connection.execute("SELECT 1")).fetchone()


@report.feature("asyncio: COPY, notifications, pipeline")
async def _():
    async with await psycopg.AsyncConnection.connect("", autocommit=True) as connection:
        await connection.execute("CREATE TEMP TABLE psy_async (a int)")
        async with connection.cursor() as cursor:
            async with cursor.copy("COPY psy_async FROM STDIN") as copy:
                for n in range(10):
                    await copy.write_row([n])
        await connection.execute("LISTEN psy_async")
        await connection.execute("NOTIFY psy_async, 'self'")
        heard = [note.payload async for note in connection.notifies(timeout=10, stop_after=1)]
        async with connection.pipeline():
            cursor = await connection.execute("SELECT sum(a) FROM psy_async")
        return heard, await cursor.fetchone()


@report.feature("pool: threads share connections")
def _():
    found = []
    with ConnectionPool("", min_size=2, max_size=4) as pool:
        def work(number):
            with pool.connection() as connection:
                found.append(connection.execute("SELECT %s::int", [number]).fetchone()[0])

        threads = [threading.Thread(target=work, args=[n]) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with pool.connection() as connection:
            pool.check()
            return sorted(found), connection.execute("SELECT 'after check'").fetchone()


@report.feature("pool: asyncio")
async def _():
    async with AsyncConnectionPool("", min_size=2, max_size=4) as pool:
        async def work(number):
            async with pool.connection() as connection:
                cursor = await connection.execute("SELECT count(*) FROM users WHERE region = %s", [REGIONS[number % 4]])
                return (await cursor.fetchone())[0] > 0

        return await asyncio.gather(*(work(number) for number in range(16)))


report.run()
