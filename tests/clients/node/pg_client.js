// node-postgres: simple and extended protocol, named statements, cursors, streams, a pool, COPY by hand, notifications.

"use strict";

const { Client, Pool } = require("pg");
const Cursor = require("pg-cursor");
const QueryStream = require("pg-query-stream");
const { PLACES, REGIONS, errorOf, feature, run, uuid } = require("./report.js");

async function connected(work, options = {}) {
  const client = new Client(options);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const clients = (name, work, options) => feature(name, () => connected(work, options));

clients("connection: process id", async (c) => c.processID === (await c.query("SELECT pg_backend_pid() AS pid")).rows[0].pid);

feature("connection: options and application name", () => connected(
  async (c) => (await c.query("SELECT current_setting('application_name') a, current_setting('search_path') s, current_setting('statement_timeout') t")).rows,
  { application_name: "node", options: "-c search_path=public,pg_catalog", statement_timeout: 5000 }));

feature("connection: refused logins", async () => [
  await errorOf(() => connected(() => 1, { password: "wrong" })), await errorOf(() => connected(() => 1, { database: "no_such_database" }))]);

clients("queries: text, parameters, types", async (c) => {
  const answer = await c.query("SELECT $1::int AS i, $2::text AS t, $3::bool AS b, $4::jsonb AS j, $5::numeric AS n, $6::text[] AS a, $7::bytea AS y, $8::date AS d",
    [1, "Straße", true, { k: [1] }, "1.50", ["x", null], Buffer.from([0, 255]), "2024-02-29"]);
  return [answer.rows, answer.fields.map((f) => [f.name, f.dataTypeID, f.format]), answer.command, answer.rowCount];
});

clients("queries: binary results", async (c) => {
  const answer = await c.query({ text: "SELECT 1::int4 AS a, 'x'::text AS b", binary: true, values: [] });
  return [answer.rows, answer.fields.map((f) => f.format)];
});

clients("queries: several in one, empty, rows as arrays", async (c) => {
  const answers = await c.query("SELECT 1 AS a; SELECT 2 AS b, 3 AS c; SET application_name = 'x'");
  return [answers.map((a) => [a.command, a.rows]), (await c.query("")).command, (await c.query({ text: "SELECT 1, 2", rowMode: "array" })).rows];
});

clients("statements: named, again and with other values", async (c) => {
  const found = [];
  for (const region of [...REGIONS, ...REGIONS]) {
    const { rows } = await c.query({ name: "by-region", text: "SELECT count(*)::int AS n, max(region) AS r FROM users WHERE region = $1", values: [region] });
    found.push(rows[0]);
  }
  return found;
});

clients("statements: named, with an error between", async (c) => {
  const divide = (by) => c.query({ name: "divide", text: "SELECT 10 / $1::int AS q", values: [by] });
  return [(await divide(2)).rows, await errorOf(() => divide(0)), (await divide(5)).rows, await errorOf(() => c.query({ name: "bad", text: "SELECT nope" })),
    (await c.query({ name: "bad", text: "SELECT 'good now' AS g" })).rows];
});

clients("statements: named, on clients at the same time", async () => {
  const answers = await Promise.all([...Array(10).keys()].map((n) => connected(async (c) => {
    let sum = 0;
    for (let m = 0; m < 10; m++) sum += (await c.query({ name: "same", text: `SELECT $1::int + ${n % 2} AS v`, values: [m] })).rows[0].v;
    return sum;
  })));
  return answers;
});

clients("queries: sent ahead, answered in order", async (c) => {
  const answers = await Promise.all([...Array(30).keys()].map((n) => errorOf(async () => (await c.query("SELECT 100 / ($1::int % 10) AS v", [n])).rows[0].v)));
  return answers.slice(8, 14);
});

clients("transactions: commit, roll back, savepoints", async (c) => {
  await c.query("DROP TABLE IF EXISTS node_t; CREATE TABLE node_t (id int PRIMARY KEY, v text)");
  await c.query("BEGIN");
  await c.query("INSERT INTO node_t VALUES ($1, $2)", [1, "kept"]);
  await c.query("SAVEPOINT s");
  const failed = await errorOf(() => c.query("INSERT INTO node_t VALUES ($1, $2)", [1, "again"]));
  const aborted = await errorOf(() => c.query("SELECT 1"));
  await c.query("ROLLBACK TO s");
  await c.query("COMMIT");
  await c.query("BEGIN; INSERT INTO node_t VALUES (2, 'lost'); ROLLBACK");
  return [failed, aborted, (await c.query("SELECT * FROM node_t")).rows];
});

clients("errors: their fields", async (c) => {
  try {
    await c.query("INSERT INTO node_t VALUES (1, 'x')");
  } catch (e) {
    const { severity, code, detail, schema, table, constraint, routine } = e;
    return { severity, code, detail, schema, table, constraint, routine };
  }
});

clients("cursor: read in parts and closed early", async (c) => {
  await c.query("BEGIN");
  const cursor = c.query(new Cursor("SELECT g FROM generate_series(1, $1::int) g", [50]));
  const found = [(await cursor.read(3)).map((r) => r.g), (await cursor.read(20)).length];
  await cursor.close();
  const every = c.query(new Cursor("SELECT name FROM users WHERE email <> 'none' ORDER BY name, user_id"));
  found.push((await every.read(2)).map((r) => r.name), (await every.read(50)).length);
  await every.close();
  await c.query("COMMIT");
  return found;
});

clients("cursor: outside of a transaction", async (c) => {
  const cursor = c.query(new Cursor("SELECT g FROM generate_series(1, 10) g"));
  const found = [];
  for (let rows = await cursor.read(4); rows.length; rows = await cursor.read(4)) found.push(rows.length);
  await cursor.close();
  return [found, (await c.query("SELECT 1 AS a")).rows];
});

clients("stream: rows of one shard and of all", async (c) => {
  const found = [];
  for (const text of ["SELECT g FROM generate_series(1, 1000) g", "SELECT ride_id FROM rides WHERE region = 'us-east'", "SELECT ride_id FROM rides"]) {
    let count = 0;
    for await (const _ of c.query(new QueryStream(text, [], { batchSize: 64, highWaterMark: 64 }))) count++;
    found.push(count);
  }
  return found;
});

clients("notify: heard, with payload", async (c) => {
  await c.query("LISTEN node_channel");
  const heard = new Promise((resolve) => c.once("notification", (n) => resolve([n.channel, n.payload])));
  await connected((other) => other.query("SELECT pg_notify($1, $2)", ["node_channel", "hello"]));
  return heard;
});

clients("notices", async (c) => {
  const heard = [];
  c.on("notice", (n) => heard.push([n.severity, n.message]));
  await c.query("DO $$ BEGIN RAISE NOTICE 'noted'; END $$");
  return heard;
});

feature("timeouts: of the server", () => connected(
  async (c) => [await errorOf(() => c.query("SELECT pg_sleep(60)")), (await c.query("SELECT 1 AS a")).rows], { statement_timeout: 100 }));

feature("pool: more queries than connections", async () => {
  const pool = new Pool({ max: 4 });
  const answers = await Promise.all([...Array(24).keys()].map((n) => pool.query("SELECT $1::int AS n, count(*) > 0 AS some FROM users WHERE region = $2", [n, REGIONS[n % 4]])));
  const found = answers.map((a) => a.rows[0]);
  await pool.end();
  return found.every((row, n) => row.n === n && row.some);
});

clients("session: SET lasts, DISCARD ALL", async (c) => {
  await c.query("SET work_mem = '5MB'");
  const found = [(await c.query("SHOW work_mem")).rows];
  await c.query("DISCARD ALL");
  return [found, (await c.query("SHOW work_mem")).rows];
});

clients("session: temporary tables", async (c) => {
  await c.query("CREATE TEMP TABLE node_temp AS SELECT 1 AS a");
  return [(await c.query("SELECT * FROM node_temp")).rows, await connected((other) => errorOf(() => other.query("SELECT * FROM node_temp")))];
});

clients("writes: sharded rows by parameters", async (c) => {
  const found = [];
  for (const [n, region] of REGIONS.entries()) {
    const [latitude, longitude, geohash] = PLACES[region];
    const made = await c.query("INSERT INTO rides (ride_id, user_id, pickup_lat, pickup_lon, dropoff_lat, dropoff_lon, region, pickup_geohash) " +
      "VALUES ($1, $2, $3, $4, $3, $4, $5, $6) RETURNING status", [uuid(n), uuid(9), latitude, longitude, region, geohash]);
    const changed = await c.query({ name: "change", text: "UPDATE rides SET price = $1 WHERE ride_id = $2 AND region = $3 RETURNING price", values: [9.5, uuid(n), region] });
    const gone = await c.query("DELETE FROM rides WHERE ride_id = $1 AND region = $2", [uuid(n), region]);
    found.push([made.rows, changed.rows, gone.rowCount]);
  }
  return found;
});

clients("writes: a position against its region", (c) => errorOf(() => c.query(
  "INSERT INTO users (name, email, latitude, longitude, region) VALUES ('x', 'n@x', $1, $2, 'nowhere')", [40.7, -74])).then(() => "told"));

clients("scatter: groups, order, joins", async (c) => [
  (await c.query("SELECT status, count(*) AS n, sum(price) AS s, avg(price) AS a FROM rides GROUP BY status ORDER BY status")).rows,
  (await c.query("SELECT ride_id, price FROM rides WHERE price > $1 ORDER BY price DESC, ride_id LIMIT 3", [20])).rows,
  (await c.query("SELECT count(*) AS n FROM rides r LEFT JOIN drivers d USING (driver_id) WHERE d.rating > $1", [4])).rows,
  (await c.query({ name: "by-regions", text: "SELECT region, count(*) AS n FROM drivers WHERE region = ANY($1) GROUP BY 1 ORDER BY 1", values: [["us-west", "ap-south"]] })).rows]);

run();
