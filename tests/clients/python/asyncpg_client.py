"""asyncpg: everything is binary and prepared; types are looked up in the catalog; COPY of records is binary."""

import asyncio
import datetime
import decimal
import io
import uuid

import asyncpg

from report import PLACES, Report, told

report = Report()
REGIONS = list(PLACES)


async def connect(**keywords):
    return await asyncpg.connect(timeout=20, **keywords)


async def error_of(awaitable):
    try:
        return await awaitable
    except asyncpg.PostgresError as error:
        return told(error)


def with_connection(work):
    """Gives the feature a connection of its own, closed at its end."""
    async def run():
        connection = await connect()
        try:
            return await work(connection)
        finally:
            await connection.close(timeout=10)
    return run


def feature(name):
    return lambda work: report.feature(name)(with_connection(work))


@feature("connection: version and settings")
async def _(connection):
    settings = connection.get_settings()
    return (connection.get_server_version()[:2], settings.server_encoding, settings.client_encoding,
            settings.integer_datetimes, settings.TimeZone, settings.is_superuser)


@feature("connection: backend pid")
async def _(connection):
    return connection.get_server_pid() == await connection.fetchval("SELECT pg_backend_pid()")


@report.feature("connection: server settings at the start")
async def _():
    connection = await connect(server_settings={"application_name": "asy", "search_path": "pg_catalog, public",
                                                "jit": "off", "work_mem": "5MB"})
    found = [await connection.fetchval(f"SHOW {name}") for name in ("application_name", "search_path", "jit", "work_mem")]
    await connection.close()
    return found


@report.feature("connection: refused logins")
async def _():
    return [await error_of(connect(password="wrong")), await error_of(connect(database="no_such_database"))]


@feature("statements: values of many types")
async def _(connection):
    await connection.execute("SET TimeZone TO 'UTC'")
    row = await connection.fetchrow(
        "SELECT $1::int2, $2::int8, $3::float8, $4::numeric, $5::text, $6::bytea, $7::bool, $8::date, $9::timestamptz, "
        "$10::interval, $11::uuid, $12::int[], $13::text[], $14::jsonb, $15::inet, $16::int4range",
        1, -2**40, 1.5, decimal.Decimal("12.340"), "Straße", b"\x00\xff", True, datetime.date(2024, 2, 29),
        datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), datetime.timedelta(days=1), uuid.UUID(int=7),
        [1, None, 3], ["a"], '{"k": 1}', "10.0.0.1", asyncpg.Range(1, 5))
    return tuple(row)


@feature("statements: prepared, described, run again")
async def _(connection):
    statement = await connection.prepare("SELECT $1::int + 1 AS n, name FROM users WHERE region = $2 ORDER BY name LIMIT 2")
    found = [[(p.name, p.kind) for p in statement.get_parameters()], [(a.name, a.type.name) for a in statement.get_attributes()]]
    for region in REGIONS * 2:
        found.append([tuple(row) for row in await statement.fetch(41, region)])
    found.append(statement.get_statusmsg())
    return found


@feature("statements: a named one, and explain")
async def _(connection):
    statement = await connection.prepare("SELECT g FROM generate_series(1, $1::int) g", name="asy_named")
    return statement.get_name(), await statement.fetchval(3), type(await statement.explain(3)).__name__


@feature("statements: the cache, emptied and overrun")
async def _(connection):
    found = 0
    for number in range(150):
        found += await connection.fetchval(f"SELECT {number} + $1::int", 1)
    await connection.reload_schema_state()
    return found, await connection.fetchval("SELECT $1::int", 5)


@feature("statements: cached, then the table changes")
async def _(connection):
    await connection.execute("DROP TABLE IF EXISTS asy_changes; CREATE TABLE asy_changes (a int); INSERT INTO asy_changes VALUES (1)")
    found = [[tuple(row) for row in await connection.fetch("SELECT * FROM asy_changes")]]
    await connection.execute("ALTER TABLE asy_changes ADD COLUMN b text DEFAULT 'x'")
    found.append([tuple(row) for row in await connection.fetch("SELECT * FROM asy_changes")])
    await connection.execute("ALTER TABLE asy_changes ALTER COLUMN a TYPE text")
    async with connection.transaction():
        found.append([tuple(row) for row in await connection.fetch("SELECT a FROM asy_changes")])
    await connection.execute("DROP TABLE asy_changes")
    return found


@feature("statements: executemany, fetchmany")
async def _(connection):
    await connection.execute("DROP TABLE IF EXISTS asy_t; CREATE TABLE asy_t (id int PRIMARY KEY, v text)")
    await connection.executemany("INSERT INTO asy_t VALUES ($1, $2)", [(n, f"v{n}") for n in range(300)])
    returned = await connection.fetchmany("INSERT INTO asy_t VALUES ($1, $2) RETURNING id", [(n, "r") for n in range(300, 303)])
    failed = await error_of(connection.executemany("INSERT INTO asy_t VALUES ($1, $2)", [(1000, "x"), (1, "twice"), (1001, "x")]))
    return await connection.fetchval("SELECT count(*) FROM asy_t"), [tuple(row) for row in returned], failed


@feature("statements: several in one execute")
async def _(connection):
    found = [await connection.execute("SELECT 1; UPDATE asy_t SET v = 'u' WHERE id < 5")]
    found.append(await error_of(connection.execute("SELECT 1; SELECT nope")))
    found.append(await error_of(connection.fetch("SELECT 1; SELECT 2")))
    return found


@feature("types: enums, composites, domains, arrays of them")
async def _(connection):
    await connection.execute("DROP TABLE IF EXISTS asy_typed; DROP TYPE IF EXISTS asy_pair; DROP TYPE IF EXISTS asy_mood; DROP DOMAIN IF EXISTS asy_small")
    await connection.execute("CREATE TYPE asy_mood AS ENUM ('sad', 'glad'); CREATE TYPE asy_pair AS (a int, m asy_mood); "
                             "CREATE DOMAIN asy_small AS int CHECK (VALUE < 10)")
    await connection.execute("CREATE TABLE asy_typed (m asy_mood, p asy_pair, s asy_small, ms asy_mood[], ps asy_pair[])")
    await connection.execute("INSERT INTO asy_typed VALUES ($1, $2, $3, $4, $5)", "sad", (1, "glad"), 5, ["sad", "glad"], [(2, "sad")])
    row = await connection.fetchrow("SELECT * FROM asy_typed")
    failed = [await error_of(connection.execute("INSERT INTO asy_typed (m) VALUES ($1)", "angry")),
              await error_of(connection.execute("INSERT INTO asy_typed (s) VALUES ($1)", 50))]
    await connection.execute("DROP TABLE asy_typed; DROP TYPE asy_pair; DROP TYPE asy_mood; DROP DOMAIN asy_small")
    return repr(row), failed


@feature("types: codecs of one's own")
async def _(connection):
    import json
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    await connection.set_type_codec("numeric", encoder=str, decoder=float, schema="pg_catalog", format="text")
    return tuple(await connection.fetchrow("SELECT $1::jsonb, $2::numeric", {"a": [1, None]}, 1.25))


@feature("transactions: commit, roll back, nest")
async def _(connection):
    async with connection.transaction():
        await connection.execute("INSERT INTO asy_t VALUES (500, 'outer')")
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO asy_t VALUES (501, 'inner')")
                raise KeyError
        except KeyError:
            pass
        inside = connection.is_in_transaction()
    return inside, connection.is_in_transaction(), [row[0] for row in await connection.fetch("SELECT id FROM asy_t WHERE id >= 500")]


@feature("transactions: isolation and read only")
async def _(connection):
    found = []
    for isolation in ("read_committed", "repeatable_read", "serializable"):
        async with connection.transaction(isolation=isolation, readonly=True):
            found.append(await connection.fetchval("SHOW transaction_isolation"))
    async with connection.transaction(isolation="serializable", readonly=True, deferrable=True):
        found.append(await connection.fetchval("SHOW transaction_deferrable"))
    try:
        async with connection.transaction(readonly=True):
            await connection.execute("DELETE FROM asy_t")
    except asyncpg.PostgresError as error:
        found.append(told(error))
    return found


@feature("transactions: an error within")
async def _(connection):
    transaction = connection.transaction()
    await transaction.start()
    found = [await error_of(connection.fetch("SELECT nope FROM asy_t")), await error_of(connection.fetch("SELECT 1"))]
    await transaction.rollback()
    return found, await connection.fetchval("SELECT 1")


@feature("cursor: iterated and fetched")
async def _(connection):
    async with connection.transaction():
        found = [sum([row[0] async for row in connection.cursor("SELECT g FROM generate_series(1, $1::int) g", 120, prefetch=7)])]
        cursor = await connection.cursor("SELECT id FROM asy_t ORDER BY id")
        found += [await cursor.fetchrow(), len(await cursor.fetch(10)), await cursor.forward(5), await cursor.fetchrow()]
    return [tuple(f) if isinstance(f, asyncpg.Record) else f for f in found]


@feature("cursor: over one region, and over all")
async def _(connection):
    async with connection.transaction():
        one = [row[0] async for row in connection.cursor("SELECT name FROM users WHERE region = $1 ORDER BY name, user_id", "ap-south", prefetch=9)]
        every = [row[0] async for row in connection.cursor("SELECT name FROM users WHERE name < 'C' ORDER BY name, user_id", prefetch=9)]
        interleaved = await connection.fetchval("SELECT count(*) FROM users")
    return len(one), one[:3], len(every), every[:3], interleaved > 0


@feature("copy: to and from a table")
async def _(connection):
    out = io.BytesIO()
    found = [await connection.copy_from_table("asy_t", columns=["id", "v"], output=out, format="csv", header=True)]
    await connection.execute("CREATE TABLE IF NOT EXISTS asy_copy (id int, v text); TRUNCATE asy_copy")
    out.seek(0)
    found.append(await connection.copy_to_table("asy_copy", source=out, format="csv", header=True))
    binary = io.BytesIO()
    found.append(await connection.copy_from_query("SELECT id, v FROM asy_copy WHERE id < $1", 5, output=binary, format="binary"))
    binary.seek(0)
    found.append(await connection.copy_to_table("asy_copy", source=binary, format="binary"))
    await connection.execute("DROP TABLE asy_copy")
    return found, len(binary.getvalue())


@feature("copy: records of one shard's table")
async def _(connection):
    found = [await connection.copy_records_to_table("asy_t", records=[(n, None if n % 3 else "r") for n in range(2000, 2500)])]
    found.append(await error_of(connection.copy_records_to_table("asy_t", records=[(2000, "again")])))
    return found, await connection.fetchval("SELECT count(v) FROM asy_t WHERE id >= 2000")


@feature("copy: records of a sharded table")
async def _(connection):
    columns = ["user_id", "name", "email", "latitude", "longitude", "region", "rating", "total_rides"]
    records = [(uuid.UUID(int=3 * 10**6 + n), f"asy {n}", "a@x", *PLACES[REGIONS[n % 4]][:2], REGIONS[n % 4], decimal.Decimal("4.5"), n)
               for n in range(40)]
    found = [await connection.copy_records_to_table("users", records=records, columns=columns)]
    rows = await connection.fetch("SELECT region, count(*), sum(total_rides) FROM users WHERE email = 'a@x' GROUP BY region ORDER BY region")
    return found, [tuple(row) for row in rows]


@feature("copy: from a query over all shards")
async def _(connection):
    out = io.BytesIO()
    found = [await connection.copy_from_query("SELECT status, count(*) FROM rides GROUP BY status ORDER BY status", output=out)]
    found.append(out.getvalue())
    out = io.BytesIO()
    found.append(await connection.copy_from_table("drivers", columns=["driver_id"], output=out))
    return found, len(out.getvalue().splitlines())


@feature("listen: heard, by several listeners")
async def _(connection):
    heard = asyncio.Queue()
    await connection.add_listener("asy_channel", lambda _c, _pid, channel, payload: heard.put_nowait((channel, payload)))
    other = await connect()
    await other.execute("NOTIFY asy_channel, 'one'")
    async with other.transaction():
        await other.execute("SELECT pg_notify('asy_channel', $1)", "two")
    await other.close()
    return [await asyncio.wait_for(heard.get(), 10) for _ in range(2)]


@feature("notices: by listeners of the log")
async def _(connection):
    heard = []
    connection.add_log_listener(lambda _c, message: heard.append((message.severity, message.message)))
    await connection.execute("DO $$ BEGIN RAISE NOTICE 'noted'; END $$")
    await connection.execute("DROP TABLE IF EXISTS never_there")
    await asyncio.sleep(0)
    return heard


@feature("cancel: by a timeout of the client")
async def _(connection):
    found = []
    try:
        await connection.fetch("SELECT pg_sleep(60)", timeout=0.2)
    except asyncio.TimeoutError:
        found.append("timeout")
    return found, await connection.fetchval("SELECT 1")


@feature("cancel: over all shards, by a timeout")
async def _(connection):
    found = []
    try:
        await connection.fetch("SELECT count(*) FROM users WHERE pg_sleep(60) IS NOT NULL AND email = $1", "a@x", timeout=0.3)
    except asyncio.TimeoutError:
        found.append("timeout")
    return found, await connection.fetchval("SELECT count(*) FROM regions")


@feature("session: reset")
async def _(connection):
    await connection.execute("SET work_mem = '5MB'; CREATE TEMP TABLE asy_temp (a int); LISTEN asy_reset")
    found = [await connection.fetchval("SHOW work_mem")]
    await connection.reset()
    found.append(await connection.fetchval("SHOW work_mem"))
    return found, await connection.fetchval("SELECT count(*) FROM pg_listening_channels()")


@report.feature("pool: more tasks than connections")
async def _():
    async def begin(connection):
        await connection.execute("SET application_name = 'pooled'")

    async with asyncpg.create_pool(min_size=2, max_size=4, init=begin) as pool:
        async def one(number):
            async with pool.acquire() as connection:
                row = await connection.fetchrow("SELECT $1::int, count(*) > 0 FROM users WHERE region = $2", number, REGIONS[number % 4])
                return tuple(row)
        answers = await asyncio.gather(*(one(number) for number in range(24)))
        return answers == [(n, True) for n in range(24)], await pool.fetchval("SELECT 1")


@feature("scatter: rows, groups, joins, with parameters")
async def _(connection):
    rows = [await connection.fetch("SELECT status, count(*), avg(price) FROM rides WHERE price > $1 GROUP BY status ORDER BY status", decimal.Decimal("10")),
            await connection.fetch("SELECT ride_id FROM rides ORDER BY price DESC NULLS LAST, ride_id LIMIT $1", 3),
            await connection.fetch("SELECT count(*) FROM rides JOIN drivers USING (driver_id) WHERE rating > $1", decimal.Decimal("4")),
            await connection.fetch("SELECT count(*) FROM users WHERE region = ANY($1)", ["us-east", "ap-south"]),
            await connection.fetch("SELECT name, vehicle_info IS NULL FROM drivers ORDER BY name, driver_id LIMIT 2")]
    return [[tuple(row) for row in answer] for answer in rows]


@feature("writes: sharded rows, one region at a time")
async def _(connection):
    found = []
    for number, (region, (latitude, longitude, geohash)) in enumerate(PLACES.items()):
        key = uuid.UUID(int=5 * 10**6 + number)
        async with connection.transaction():
            found.append(await connection.fetchval(
                "INSERT INTO rides (ride_id, user_id, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon, region, pickup_geohash) "
                "VALUES ($1, $1, $2, $3, $2, $3, $4, $5) RETURNING status", key, latitude, longitude, region, geohash))
        found.append(await connection.execute("UPDATE rides SET price = $1 WHERE ride_id = $2 AND region = $3", decimal.Decimal("7.5"), key, region))
        found.append(await connection.fetchval("SELECT price FROM rides WHERE ride_id = $1", key))
        found.append(await connection.execute("DELETE FROM rides WHERE ride_id = $1 AND region = $2", key, region))
    return found


@feature("writes: executemany over the regions")
async def _(connection):
    arguments = [(uuid.UUID(int=6 * 10**6 + n), *PLACES[region][:2], region) for n, region in enumerate(REGIONS)]
    found = await error_of(connection.executemany(
        "INSERT INTO users (user_id, name, email, latitude, longitude, region) VALUES ($1, 'm', 'm@x', $2, $3, $4)", arguments))
    return found, await connection.fetchval("SELECT count(*) FROM users WHERE email = 'm@x'")


@feature("catalog: introspection by hand")
async def _(connection):
    rows = await connection.fetch("SELECT attname, atttypid::regtype::text, attnotnull FROM pg_attribute "
                                  "WHERE attrelid = 'drivers'::regclass AND attnum > 0 ORDER BY attnum")
    return [tuple(row) for row in rows]


report.run()
