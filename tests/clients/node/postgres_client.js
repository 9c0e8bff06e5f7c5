// postgres.js: prepared and pipelined by default, types asked of the catalog, cursors, COPY as streams, listen.

"use strict";

const { Readable } = require("node:stream");
const { pipeline } = require("node:stream/promises");
const postgres = require("postgres");
const { PLACES, REGIONS, errorOf, feature, run, uuid } = require("./report.js");

const sql = postgres({ max: 4, onnotice: () => {} });

feature("queries: types", async () => [...await sql`SELECT ${1}::int AS i, ${"Straße"} AS t, ${true}::bool AS b, ${sql.json({ k: [1] })} AS j,
  ${[1, 2]}::int[] AS a, ${Buffer.from([0, 255])}::bytea AS y, ${null}::text AS n, 12.50::numeric AS d`]);

feature("queries: fetched array types", async () => [...await sql`SELECT ARRAY['a', 'b']::varchar[] AS v, ARRAY[true, false] AS b, ARRAY[1.5, 2]::float8[] AS f`]);

feature("queries: simple protocol, several statements", async () => {
  const answer = await sql`SELECT 1 AS a; SELECT 2 AS b`.simple();
  return answer.map((part) => [...part]);
});

feature("queries: described", async () => {
  const found = await sql`SELECT user_id, name FROM users WHERE region = ${"us-east"} AND total_rides > ${3}`.describe();
  return [found.types, found.columns.map((c) => [c.name, c.type])];
});

feature("queries: many at the same time", async () => {
  const answers = await Promise.all([...Array(100).keys()].map((n) => sql`SELECT ${n}::int AS n, count(*) > 0 AS some FROM users WHERE region = ${REGIONS[n % 4]}`));
  return answers.every(([row], n) => row.n === n && row.some);
});

feature("errors: of a query among others", async () => {
  const answers = await Promise.all([1, 0, 2].map((by) => errorOf(async () => [...await sql`SELECT 10 / ${by}::int AS q`])));
  return [answers, await errorOf(() => sql`SELECT nope`)];
});

feature("helpers: insert, update, values, fragments, identifiers", async () => {
  await sql`DROP TABLE IF EXISTS pgjs_t`;
  await sql`CREATE TABLE pgjs_t (id int PRIMARY KEY, v text, at timestamptz)`;
  const rows = [...Array(5).keys()].map((id) => ({ id, v: `v${id}`, at: new Date(1700000000000 + id) }));
  const made = await sql`INSERT INTO pgjs_t ${sql(rows, "id", "v", "at")} RETURNING id, at`;
  await sql`UPDATE pgjs_t SET ${sql({ v: "new" }, "v")} WHERE id IN ${sql([1, 2])}`;
  const condition = sql`id > ${1}`;
  return [[...made], [...await sql`SELECT ${sql("v")} FROM ${sql("pgjs_t")} WHERE ${condition} ORDER BY id`]];
});

feature("transactions: commit, roll back, savepoints", async () => {
  const failed = await errorOf(() => sql.begin(async (t) => {
    await t`INSERT INTO pgjs_t (id, v) VALUES (10, 'lost')`;
    await t`INSERT INTO pgjs_t (id, v) VALUES (10, 'again')`;
  }));
  await sql.begin("isolation level repeatable read", async (t) => {
    await t`INSERT INTO pgjs_t (id, v) VALUES (11, 'kept')`;
    await errorOf(() => t.savepoint((s) => s`INSERT INTO pgjs_t (id, v) VALUES (11, 'again')`));
    await t`INSERT INTO pgjs_t (id, v) VALUES (12, 'kept')`;
  });
  const piped = await sql.begin((t) => [t`SELECT 1 AS a`, t`SELECT v FROM pgjs_t WHERE id = 11`]);
  return [failed, piped.map((p) => [...p]), (await sql`SELECT id FROM pgjs_t WHERE id >= 10 ORDER BY id`).map((r) => r.id)];
});

feature("cursor: in parts, of one shard and of all", async () => {
  const found = [];
  for await (const rows of sql`SELECT g FROM generate_series(1, 25) g`.cursor(10)) found.push(rows.length);
  for await (const rows of sql`SELECT driver_id FROM drivers ORDER BY name, driver_id`.cursor(50)) found.push(rows.length);
  await sql`SELECT g FROM generate_series(1, 25) g`.cursor(5, (rows) => { found.push(rows.length); return sql.CLOSE; });
  let count = 0;
  await sql`SELECT ride_id FROM rides WHERE region = 'us-west'`.forEach(() => count++);
  return [found, count];
});

feature("copy: in and out as streams", async () => {
  await pipeline(Readable.from([..."abc"].map((letter, n) => `${100 + n}\t${letter}\n`)), await sql`COPY pgjs_t (id, v) FROM STDIN`.writable());
  const parts = [];
  for await (const part of await sql`COPY (SELECT id, v FROM pgjs_t WHERE id >= 100 ORDER BY id) TO STDOUT`.readable()) parts.push(part.toString());
  return parts.join("");
});

feature("copy: into a sharded table", async () => {
  const lines = REGIONS.map((region, n) => `${uuid(700 + n)}\tpgjs\tj@x\t${PLACES[region][0]}\t${PLACES[region][1]}\t${region}\n`);
  await pipeline(Readable.from(lines), await sql`COPY users (user_id, name, email, latitude, longitude, region) FROM STDIN`.writable());
  return [...await sql`SELECT region, count(*)::int AS n FROM users WHERE email = 'j@x' GROUP BY 1 ORDER BY 1`];
});

feature("listen: and unlisten", async () => {
  const heard = [];
  let arrived;
  const all = new Promise((resolve) => { arrived = resolve; });
  const { unlisten } = await sql.listen("pgjs channel", (payload) => { if (heard.push(payload) === 2) arrived(); });
  await sql.notify("pgjs channel", "one");
  await sql.notify("pgjs channel", "two");
  await all;
  await unlisten();
  return heard;
});

feature("cancel: a running query", async () => {
  const query = sql`SELECT pg_sleep(60)`;
  const answer = errorOf(() => query);
  const again = setInterval(() => query.cancel(), 200);
  const found = await answer;
  clearInterval(again);
  return found;
});

feature("reserve: a session of its own", async () => {
  const reserved = await sql.reserve();
  await reserved`SET work_mem = '5MB'`;
  await reserved`CREATE TEMP TABLE pgjs_temp (a int)`;
  await reserved`INSERT INTO pgjs_temp VALUES (${1}), (${2})`;
  const found = [[...await reserved`SELECT sum(a)::int AS s, current_setting('work_mem') AS w FROM pgjs_temp`]];
  await reserved`DROP TABLE pgjs_temp`;
  await reserved`RESET work_mem`;
  reserved.release();
  return found;
});

feature("types: one's own", async () => {
  await sql`DROP TYPE IF EXISTS pgjs_mood`;
  await sql`CREATE TYPE pgjs_mood AS ENUM ('sad', 'glad')`;
  const found = [...await sql`SELECT ${"glad"}::pgjs_mood AS m, ARRAY['sad']::pgjs_mood[]::text[] AS ms`];
  await sql`DROP TYPE pgjs_mood`;
  return found;
});

feature("statements: the table changes under them", async () => {
  const read = () => sql`SELECT * FROM pgjs_t WHERE id = ${1}`;
  const found = [Object.keys((await read())[0])];
  await sql`ALTER TABLE pgjs_t ADD COLUMN more int DEFAULT 7`;
  found.push(await errorOf(async () => Object.keys((await read())[0])));
  await sql`DROP TABLE pgjs_t`;
  return found[0];
});

feature("writes: sharded rows by helpers", async () => {
  const found = [];
  for (const [n, region] of REGIONS.entries()) {
    const [latitude, longitude] = PLACES[region];
    const row = { user_id: uuid(800 + n), name: "h", email: "h@x", latitude, longitude, region };
    const made = await sql`INSERT INTO users ${sql(row)} RETURNING region, rating`;
    const changed = await sql`UPDATE users SET ${sql({ total_rides: n })} WHERE user_id = ${row.user_id} AND region = ${region}`;
    const gone = await sql`DELETE FROM users WHERE user_id = ${row.user_id} AND region = ${region} RETURNING total_rides`;
    found.push([[...made], changed.count, [...gone]]);
  }
  return found;
});

feature("scatter: groups, order, joins", async () => [
  [...await sql`SELECT status, count(*)::int AS n, sum(price) AS s FROM rides GROUP BY status ORDER BY status`],
  [...await sql`SELECT ride_id FROM rides WHERE price > ${20} ORDER BY price DESC, ride_id LIMIT ${3}`],
  [...await sql`SELECT count(*)::int AS n FROM rides JOIN drivers USING (driver_id) WHERE drivers.region IN ${sql(["us-east", "ap-south"])}`]]);

feature("end", async () => sql.end({ timeout: 10 }));

run();
