// Drizzle on node-postgres: tables by code, queries, relations, transactions, raw SQL.

"use strict";

const { Pool } = require("pg");
const { and, asc, avg, count, desc, eq, gt, inArray, sql, sum } = require("drizzle-orm");
const { relations } = require("drizzle-orm");
const { drizzle } = require("drizzle-orm/node-postgres");
const { doublePrecision, integer, jsonb, numeric, pgTable, serial, text, timestamp, uuid: uuidColumn, varchar } = require("drizzle-orm/pg-core");
const { PLACES, REGIONS, errorOf, feature, run, uuid } = require("./report.js");

const authors = pgTable("drz_authors", { id: serial("id").primaryKey(), name: text("name").notNull().unique(), about: jsonb("about") });
const books = pgTable("drz_books", { id: serial("id").primaryKey(), title: text("title").notNull(), authorId: integer("author_id").references(() => authors.id) });
const authorsRelations = relations(authors, ({ many }) => ({ books: many(books) }));
const booksRelations = relations(books, ({ one }) => ({ author: one(authors, { fields: [books.authorId], references: [authors.id] }) }));
const users = pgTable("users", {
  userId: uuidColumn("user_id").primaryKey(), name: varchar("name", { length: 255 }).notNull(), email: varchar("email", { length: 255 }).notNull(),
  latitude: doublePrecision("latitude").notNull(), longitude: doublePrecision("longitude").notNull(), region: varchar("region", { length: 50 }).notNull(),
  totalRides: integer("total_rides").default(0), createdAt: timestamp("created_at").defaultNow(),
});
const rides = pgTable("rides", { rideId: uuidColumn("ride_id").primaryKey(), region: varchar("region").notNull(), status: varchar("status").notNull(), price: numeric("price") });

const pool = new Pool({ max: 3 });
const db = drizzle(pool, { schema: { authors, books, authorsRelations, booksRelations, users, rides } });

feature("schema: tables by SQL", async () => {
  await db.execute(sql`DROP TABLE IF EXISTS drz_books, drz_authors`);
  await db.execute(sql`CREATE TABLE drz_authors (id serial PRIMARY KEY, name text NOT NULL UNIQUE, about jsonb)`);
  await db.execute(sql`CREATE TABLE drz_books (id serial PRIMARY KEY, title text NOT NULL, author_id int REFERENCES drz_authors)`);
  return (await db.execute(sql`SELECT ${1}::int AS one`)).rows;
});

feature("insert: returning, upsert, many", async () => {
  const made = await db.insert(authors).values([{ name: "Ada", about: { a: 1 } }, { name: "Bob" }]).returning();
  const upserted = await db.insert(authors).values({ name: "Ada" }).onConflictDoUpdate({ target: authors.name, set: { about: { a: 2 } } }).returning();
  await db.insert(authors).values({ name: "Bob" }).onConflictDoNothing();
  await db.insert(books).values([...Array(20).keys()].map((n) => ({ title: `t${n}`, authorId: made[n % 2].id })));
  return [made, upserted];
});

feature("select: joins, groups, subqueries, with", async () => {
  const grouped = await db.select({ name: authors.name, n: count(books.id) }).from(authors).leftJoin(books, eq(books.authorId, authors.id)).groupBy(authors.name).orderBy(asc(authors.name));
  const first = db.$with("first").as(db.select().from(books).orderBy(asc(books.id)).limit(3));
  return [grouped, await db.with(first).select({ title: first.title }).from(first), await db.select().from(books).where(and(gt(books.id, 2), inArray(books.title, ["t1", "t5"])))];
});

feature("relations: with", async () => db.query.authors.findMany({ with: { books: { columns: { title: true }, limit: 2, orderBy: asc(books.id) } }, orderBy: asc(authors.id) }));

feature("prepared: by name", async () => {
  const prepared = db.select({ title: books.title }).from(books).where(eq(books.id, sql.placeholder("id"))).prepare("drz_by_id");
  return [await prepared.execute({ id: 3 }), await prepared.execute({ id: 4 })];
});

feature("transactions: nested, rolled back", async () => {
  const found = [];
  await db.transaction(async (t) => {
    await t.insert(authors).values({ name: "kept" });
    await t.transaction(async (s) => { await s.insert(authors).values({ name: "lost" }); s.rollback(); }).catch((e) => found.push(e.constructor.name));
  }, { isolationLevel: "serializable" });
  found.push(await errorOf(() => db.insert(authors).values({ name: "kept" })));
  return [found, await db.select({ name: authors.name }).from(authors).orderBy(asc(authors.name))];
});

feature("locks: for update, skip locked", () => db.transaction(async (t) => {
  const mine = await t.select({ name: authors.name }).from(authors).where(eq(authors.name, "Ada")).for("update");
  const other = await db.select({ name: authors.name }).from(authors).where(inArray(authors.name, ["Ada", "Bob"])).for("no key update", { skipLocked: true });
  return [mine, other];
}));

feature("sharded: rows by region", async () => {
  const found = [];
  for (const [n, region] of REGIONS.entries()) {
    const [latitude, longitude] = PLACES[region];
    await db.insert(users).values({ userId: uuid(900 + n), name: `drz ${n}`, email: "z@x", latitude, longitude, region });
    found.push(await db.update(users).set({ totalRides: n }).where(and(eq(users.region, region), eq(users.email, "z@x"))).returning({ n: users.totalRides }));
  }
  found.push(await db.select({ name: users.name, region: users.region }).from(users).where(eq(users.email, "z@x")).orderBy(desc(users.name)));
  found.push(await db.query.users.findFirst({ where: and(eq(users.region, "eu-central"), eq(users.email, "z@x")), columns: { name: true } }));
  for (const region of REGIONS) found.push((await db.delete(users).where(and(eq(users.region, region), eq(users.email, "z@x")))).rowCount);
  return found;
});

feature("sharded: many rows in one insert", () => errorOf(() => db.transaction(async (t) => {
  const made = await t.insert(users).values(REGIONS.map((region, n) => ({ userId: uuid(950 + n), name: "m", email: "m@x", latitude: PLACES[region][0], longitude: PLACES[region][1], region })));
  await t.delete(users).where(and(eq(users.email, "m@x"), inArray(users.region, REGIONS)));
  return made.rowCount;
})));

feature("scatter: groups and order", async () => [
  await db.select({ status: rides.status, n: count(), s: sum(rides.price), a: avg(rides.price) }).from(rides).groupBy(rides.status).orderBy(rides.status),
  await db.select({ id: rides.rideId }).from(rides).orderBy(sql`${rides.price} DESC NULLS LAST`, rides.rideId).limit(3).offset(2),
  await db.$count(rides, eq(rides.region, "us-east"))]);

feature("end", async () => {
  await db.execute(sql`DROP TABLE drz_books, drz_authors`);
  await pool.end();
});

run();
