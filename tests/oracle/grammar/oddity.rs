//! Forms that are rare, and easily got wrong by one who puts answers together.

use super::Grammar;
use super::scope::{Field, Scope};
use crate::tables::Type;
use crate::tree::{Mark, Node, seq};

impl Grammar {
    pub fn oddity(&mut self) -> Node {
        let (from, scope) = self.one_table();
        let filter = self.filter(&scope, 0);
        let source = scope.sources[0].clone();
        let alias = source.alias.clone();
        let field = scope.any(&mut self.random).sql.clone();
        let other = scope.any(&mut self.random).sql.clone();
        let unique = source.unique.join(", ");
        match self.random.below(10) {
            8 => self.clocks(&scope, &field, seq![from, filter]),
            9 => self.names(&scope, &field, &other, seq![from, filter]),
            0 | 1 => self.odd_items(&alias, &field, &unique, seq![from, filter]),
            2 => self.odd_order(&field, &other, &unique, seq![from, filter]),
            3 | 4 => self.odd_groups(&scope, &field, &other, seq![from, filter]),
            5 => self.odd_joins(),
            6 => self.nested(&scope, &field, &unique, seq![from, filter]),
            _ => self.lookalikes(),
        }
    }

    fn odd_items(&mut self, alias: &str, field: &str, unique: &str, from: Node) -> Node {
        let alias = alias.to_owned();
        let (field, unique) = (field.to_owned(), unique.to_owned());
        match self.random.below(16) {
            0 => seq!["SELECT FROM ", from],
            1 => seq!["SELECT ", alias, " FROM ", from],
            2 => seq!["SELECT count(", alias, ") FROM ", from],
            3 => seq!["SELECT generate_series(1, 2), ", field, " FROM ", from],
            4 => {
                let limit = seq![" ORDER BY ", unique, ", 1 LIMIT 3"].marked(Mark::Limit);
                seq!["SELECT generate_series(1, 2) AS s FROM ", from, limit.marked(Mark::Unique)]
            }
            5 => seq!["SELECT DISTINCT generate_series(1, 2), ", field, " FROM ", from],
            6 => seq!["SELECT ", field.clone(), ", ", field, " FROM ", from],
            7 => seq!["SELECT ", alias.clone(), ".*, ", alias, ".* FROM ", from],
            // Mostly refused.
            8 => match self.random.below(3) {
                0 => seq!["SELECT ", alias, ".tableoid::regclass::text FROM ", from],
                1 => seq!["SELECT count(", alias, ".ctid) FROM ", from],
                _ => seq!["SELECT DISTINCT ", alias, ".tableoid::regclass::text FROM ", from],
            },
            9 => seq!["SELECT row_number() OVER () > 0 AS one, ", field, " FROM ", from],
            10 => seq!["SELECT count(*) OVER (), ", unique.clone(), " FROM ", from, " GROUP BY ", unique],
            11 => seq!["SELECT now() - now() AS zero, current_user, ", field, " FROM ", from],
            12 => seq!["SELECT ", alias.clone(), " IS NULL, row(", unique, ", 1) FROM ", from],
            13 => seq!["SELECT count(*), count(DISTINCT now()) FROM ", from],
            14 => seq!["SELECT DISTINCT 1 AS one, 'x' AS x FROM ", from],
            _ => seq!["SELECT to_jsonb(", alias, ") FROM ", from],
        }
    }

    fn odd_order(&mut self, field: &str, other: &str, unique: &str, from: Node) -> Node {
        let (field, other, unique) = (field.to_owned(), other.to_owned(), unique.to_owned());
        let total = |keys: String| seq![" ORDER BY ", keys].marked(Mark::Unique);
        match self.random.below(9) {
            // The output's name hides the column's in ORDER BY, but not in an expression of it.
            0 => {
                let name = other.rsplit('.').next().unwrap_or_default().to_owned();
                seq![
                    "SELECT ",
                    field,
                    " AS ",
                    name.clone(),
                    " FROM ",
                    from,
                    total(format!("{name}, {unique}"))
                ]
            }
            1 => {
                let name = other.rsplit('.').next().unwrap_or_default().to_owned();
                let keys = format!("{name} IS NULL, {unique}");
                seq!["SELECT ", field, " IS NULL AS ", name, ", ", other, " AS o FROM ", from, total(keys)]
            }
            2 => seq!["SELECT ", field, " AS a, ", other, " AS a FROM ", from, " ORDER BY a"],
            3 => seq!["SELECT ", field, " FROM ", from, " ORDER BY 1 DESC, 2"],
            4 => seq![
                "SELECT ",
                field,
                " FROM ",
                from,
                total(format!("{other} IS NULL, {unique}")),
                " LIMIT NULL OFFSET NULL"
            ],
            5 => seq![
                "SELECT ",
                field,
                " FROM ",
                from,
                total(format!("'x'::text, {unique}")),
                Node::from(" LIMIT 4").marked(Mark::Limit)
            ],
            6 => seq!["(SELECT ", field, " FROM ", from, ")", total("1".to_owned())],
            7 => seq!["SELECT ", field, " FROM ", from, " ORDER BY 'x'"],
            _ => seq!["SELECT ", field, " FROM ", from, total(format!("md5({unique}::text)"))],
        }
    }

    fn odd_groups(&mut self, scope: &Scope, field: &str, other: &str, from: Node) -> Node {
        let (field, other) = (field.to_owned(), other.to_owned());
        let name = other.rsplit('.').next().unwrap_or_default().to_owned();
        let aggregate = self.aggregate(scope);
        match self.random.below(16) {
            0 => seq!["SELECT 1 AS one FROM ", from, " HAVING count(*) > 0"],
            1 => seq!["SELECT ", aggregate, " FROM ", from, " HAVING false"],
            2 => seq!["SELECT 'x' AS x, ", aggregate, " FROM ", from, " GROUP BY ()"],
            3 => seq!["SELECT ", aggregate, " FROM ", from, " GROUP BY ", field],
            4 => seq!["SELECT ", aggregate, " AS a FROM ", from, " HAVING NULL"],
            5 => seq!["SELECT ", field, " AS ", name.clone(), ", count(*) FROM ", from, " GROUP BY ", name],
            6 => seq!["SELECT DISTINCT count(*) FROM ", from, " GROUP BY ", field],
            7 => seq!["SELECT count(*), count(*), ", aggregate.clone(), ", ", aggregate, " FROM ", from],
            8 => seq!["SELECT ", field, ", count(*) FROM ", from],
            9 => seq![
                "SELECT ",
                field.clone(),
                ", grouping(",
                field.clone(),
                "), count(*) FROM ",
                from,
                " GROUP BY ROLLUP (",
                field,
                ")"
            ],
            10 => seq!["SELECT count(*) FROM ", from, " GROUP BY ", field, ", ", other, " ORDER BY 1"],
            11 => seq!["SELECT ", field.clone(), ", sum(count(*)) OVER () FROM ", from, " GROUP BY ", field],
            12 => seq!["SELECT max(", aggregate, ") FROM ", from],
            13 => seq![
                "SELECT ",
                field,
                " FROM ",
                from,
                " GROUP BY 1 HAVING count(*) > 1 ORDER BY count(*) DESC, 1"
            ],
            14 => seq!["SELECT count(*) FROM (SELECT DISTINCT ", field, " FROM ", from, ") AS d"],
            _ => seq!["SELECT (SELECT count(*) FROM cats), ", aggregate, " FROM ", from],
        }
    }

    /// What each server has of its own, in forms whose value is the same wherever it is computed.
    fn clocks(&mut self, scope: &Scope, field: &str, from: Node) -> Node {
        let field = field.to_owned();
        let number = self.leaf(scope, Type::Int);
        match self.random.below(18) {
            0 => seq!["SELECT min(now()) = max(now()) AS one FROM ", from],
            1 => seq!["SELECT max(now()) = now() AS one FROM ", from],
            2 => seq!["SELECT count(*) FROM ", from, " GROUP BY now()"],
            3 => seq!["SELECT count(*) FROM ", from, " GROUP BY now() - now()"],
            4 => seq!["SELECT count(DISTINCT now()::text) FROM ", from],
            5 => seq!["SELECT bool_and(now() = transaction_timestamp()) FROM ", from],
            6 => seq!["SELECT count(*) FROM ", from, " HAVING min(now()) = max(now())"],
            7 => seq!["SELECT (random() >= 0) AS r, ", field, " FROM ", from],
            8 => seq!["SELECT count(*) FILTER (WHERE random() < 2) FROM ", from],
            9 => seq!["SELECT ", field, " FROM ", from, " ORDER BY random()"],
            10 => seq!["SELECT DISTINCT now() = now(), ", field, " FROM ", from],
            11 => seq!["SELECT pg_typeof(", field, ")::text FROM ", from],
            12 => seq!["SELECT DISTINCT pg_typeof(", field, ")::text FROM ", from],
            13 => seq!["SELECT count(DISTINCT random() >= 0), max(", number, ") FROM ", from],
            14 => seq!["SELECT max(now()) OVER () = now() FROM ", from],
            15 => seq!["SELECT current_date = now()::date, count(*) FROM ", from, " GROUP BY 1"],
            16 => seq!["SELECT sum(extract(epoch FROM now() - now())) FROM ", from],
            _ => seq![
                "SELECT count(DISTINCT current_setting('timezone')), count(DISTINCT version()) FROM ",
                from
            ],
        }
    }

    /// Names that mean one thing in the select list and another one elsewhere.
    fn names(&mut self, scope: &Scope, field: &str, other: &str, from: Node) -> Node {
        let last = |sql: &str| sql.rsplit('.').next().unwrap_or_default().to_owned();
        let (a, b) = (last(field), last(other));
        let (field, other) = (field.to_owned(), other.to_owned());
        let swapped = format!("{field} AS {b}, {other} AS {a}");
        let numbers: Vec<String> =
            scope.fields().filter(|f| f.ty == Type::Int && !f.is_wild).map(|f| f.sql.clone()).collect();
        let number = if numbers.is_empty() { "1".to_owned() } else { self.random.pick(&numbers).clone() };
        let n = if numbers.is_empty() { "n".to_owned() } else { last(&number) };
        match self.random.below(18) {
            0 => seq!["SELECT ", swapped, ", count(*) FROM ", from, " GROUP BY ", field, ", ", other],
            1 => seq!["SELECT ", swapped, ", count(*) FROM ", from, " GROUP BY ", a, ", ", b],
            2 => seq!["SELECT ", swapped, ", count(*) FROM ", from, " GROUP BY 1, 2 ORDER BY ", a, ", ", b],
            3 => seq![
                "SELECT ",
                swapped,
                " FROM ",
                from,
                " ORDER BY ",
                Node::from(a).marked(Mark::OrderKey(None)),
                ", ",
                b
            ],
            4 => seq!["SELECT DISTINCT ", swapped, " FROM ", from, " ORDER BY ", a, ", ", b],
            5 => seq![
                "SELECT ",
                field.clone(),
                ", sum(",
                number,
                ") AS ",
                n.clone(),
                " FROM ",
                from,
                " GROUP BY ",
                field,
                " ORDER BY ",
                n,
                ", 1"
            ],
            6 => seq![
                "SELECT sum(",
                number.clone(),
                ") AS ",
                n.clone(),
                " FROM ",
                from,
                " GROUP BY ",
                number,
                " ORDER BY ",
                n
            ],
            7 => seq![
                "SELECT sum(",
                number.clone(),
                ") AS ",
                n.clone(),
                " FROM ",
                from,
                " GROUP BY ",
                n.clone(),
                " ORDER BY ",
                n,
                " + 1"
            ],
            8 => seq![
                "SELECT (",
                field.clone(),
                ", ",
                other.clone(),
                ") AS r, count(*) FROM ",
                from,
                " GROUP BY (",
                field,
                ", ",
                other,
                ")"
            ],
            9 => seq!["SELECT DISTINCT (", field, ", ", other, ") AS r FROM ", from],
            10 => seq!["SELECT count(DISTINCT (", field, ", ", other, ")) FROM ", from],
            11 => seq!["SELECT ", field.clone(), " FROM ", from, " ORDER BY (", field, ", ", other, ")"],
            12 => seq![
                "SELECT ",
                field.clone(),
                " AS \"Quoted Name\", ",
                other.clone(),
                " AS \"order\" FROM ",
                from,
                " GROUP BY \"Quoted Name\", \"order\""
            ],
            13 => seq![
                "SELECT *, count(*) OVER () AS n FROM ",
                from,
                " GROUP BY ",
                scope.sources[0].unique[0].clone()
            ],
            14 => seq![
                "SELECT ",
                field,
                ", ",
                other,
                " FROM ",
                from,
                " GROUP BY ",
                scope.sources[0].unique[0].clone()
            ],
            15 => seq![
                "SELECT ",
                field.clone(),
                " AS x, ",
                field.clone(),
                " AS y, count(*) FROM ",
                from,
                " GROUP BY x, y, ",
                field
            ],
            16 => seq!["SELECT ALL ", field.clone(), " FROM ", from, " GROUP BY DISTINCT ", field],
            _ => seq![
                "SELECT ",
                field.clone(),
                " FROM ",
                from,
                " GROUP BY ((",
                field,
                ")) HAVING ",
                other,
                " IS NULL"
            ],
        }
    }

    fn odd_joins(&mut self) -> Node {
        let texts: &[&'static str] = &[
            "SELECT count(*) FROM people NATURAL JOIN visits",
            "SELECT region, count(*) FROM people JOIN visits USING (region) GROUP BY region",
            "SELECT * FROM people p JOIN cats c USING (region, id)",
            "SELECT region, p.region, c.region FROM people p LEFT JOIN cats c USING (region)",
            "SELECT region, v.region FROM visits v RIGHT JOIN cats c USING (region)",
            "SELECT region FROM visits v FULL JOIN cats c USING (region)",
            "SELECT count(*), count(c.id) FROM visits v LEFT JOIN cats c ON c.region = v.region AND c.n > 1",
            "SELECT c.id, count(v.id) FROM cats c LEFT JOIN visits v ON v.region = c.region GROUP BY c.id",
            "SELECT count(*) FROM orders o JOIN lines l ON l.order_id = o.id JOIN cats c ON c.n = l.qty",
            "SELECT o.id, x.s FROM orders o, LATERAL (SELECT sum(qty) AS s FROM lines l WHERE l.order_id = o.id) x",
            "SELECT o.id, (SELECT count(*) FROM lines l WHERE l.order_id = o.id) AS n FROM orders o",
            "SELECT o.id FROM orders o WHERE EXISTS (SELECT 1 FROM lines l WHERE l.order_id = o.id)",
            "SELECT o.id FROM orders o WHERE o.id NOT IN (SELECT order_id FROM lines)",
            "SELECT o.id FROM orders o LEFT JOIN lines l ON l.order_id = o.id WHERE l.n IS NULL",
            "SELECT o.id, l.n FROM orders o LEFT JOIN lines l ON l.order_id = o.id AND l.qty > 2",
            "SELECT o.id, l.n FROM orders o FULL JOIN lines l ON l.order_id = o.id",
            "SELECT count(*) FROM people a JOIN people b ON a.region = b.region AND a.id < b.id",
            "SELECT count(*) FROM metrics a JOIN metrics b ON a.n = b.n",
            "SELECT count(*) FROM metrics a JOIN metrics b ON a.n = b.n + 1",
            "SELECT c.id, w.word FROM cats c JOIN words w ON w.word = c.word",
            "SELECT c.word, w.freq FROM words w JOIN cats c ON w.word = c.word WHERE c.word = 'apple'",
            "SELECT w.word FROM words w JOIN cats c ON w.word = c.word WHERE c.id = 3",
            "SELECT s.id, m.n FROM solo s JOIN metrics m ON m.n = s.n",
            "SELECT count(*) FROM people p, visits v WHERE p.region = v.region AND p.region = 'us-east'",
            "SELECT count(*) FROM people p, visits v WHERE p.region = 'us-east' AND v.region = 'us-east'",
            "SELECT count(*) FROM people p, visits v WHERE p.region = 'us-east' AND v.region = 'ap-south'",
            "SELECT count(*) FROM people p JOIN visits v ON p.region = v.region OR p.id = v.id",
            "SELECT count(*) FROM people p JOIN visits v ON (p.region = v.region) IS TRUE",
            "SELECT count(*) FROM people p JOIN visits v ON p.region IS NOT DISTINCT FROM v.region",
            "SELECT count(*) FROM visits p JOIN visits v ON p.region IS NOT DISTINCT FROM v.region",
            "SELECT count(*) FROM people p JOIN visits v ON lower(p.region) = v.region",
            "SELECT count(*) FROM people p JOIN visits v ON p.region::text = v.region::text",
            "SELECT v.id, x.* FROM visits v CROSS JOIN (VALUES (1, 'a'), (2, 'b')) x (n, t)",
            "SELECT v.id, g FROM visits v, generate_series(1, 2) g WHERE v.id < 5",
            "SELECT v.id, t FROM visits v, unnest(v.tags) t",
            "SELECT v.id, t FROM visits v LEFT JOIN unnest(v.tags) t ON true",
            "SELECT x.n, count(*) FROM (VALUES (1), (2), (3)) x (n) LEFT JOIN visits v ON v.id = x.n GROUP BY x.n",
            "VALUES (1, 'a'), (2, NULL) ORDER BY 2 DESC",
            "TABLE cats",
            "TABLE days",
            "SELECT count(*) FROM ONLY people",
            "SELECT count(*) FROM people TABLESAMPLE SYSTEM (100)",
            "SELECT * FROM people p (a, b) ORDER BY a",
            "SELECT p.b FROM people p (a, b) WHERE b = 'us-east'",
            "SELECT p.region FROM people p (region, id) WHERE p.region = 3",
            "SELECT count(*) FROM people region WHERE region.region = 'us-east'",
            "SELECT count(*) FROM people WHERE people = people",
            "SELECT (SELECT sum(p.id) FROM cats) FROM people p",
            "SELECT p.region, (SELECT count(*) FILTER (WHERE p.id > 9) FROM cats c WHERE c.id = 3) FROM people p GROUP BY p.region",
            "SELECT p.id FROM (people p JOIN (visits v JOIN orders o ON o.id = v.person) ON p.id = v.id) WHERE o.qty > 1",
            "SELECT * FROM (people p JOIN visits v ON p.id = v.id) AS j (a, b, c) WHERE b = 'us-east'",
            "SELECT j.id FROM people p JOIN visits v USING (id) AS j WHERE j.id < 9",
            "SELECT id, p.region, v.region FROM people p FULL JOIN visits v USING (id)",
            "SELECT id, count(*) FROM orders NATURAL FULL JOIN devices GROUP BY id",
            "SELECT o.id, x.* FROM orders o JOIN LATERAL (VALUES (o.id, o.qty), (o.qty, o.id)) x (a, b) ON x.a < 4",
            "SELECT o.id, x.a FROM orders o, LATERAL (SELECT o.qty + 1 AS a WHERE o.id < 20) x",
            "SELECT p.id, x.* FROM people p, ROWS FROM (generate_series(1, p.age), unnest(ARRAY[p.id])) x (a, b)",
            "SELECT * FROM ROWS FROM (generate_series(1, 3), generate_series(5, 6)) WITH ORDINALITY x (a, b, c)",
            "SELECT v.id, t, n FROM visits v, unnest(v.tags) WITH ORDINALITY u (t, n)",
            "SELECT p.id, k, v FROM people p, jsonb_each_text(CASE WHEN jsonb_typeof(p.note) = 'object' THEN p.note END) e (k, v)",
            "SELECT x.k FROM people p, jsonb_to_record('{\"k\": 1}') x (k int) WHERE p.age = x.k",
            "SELECT p.mood, string_agg(DISTINCT v.kind::text, ',') FROM people p JOIN visits v ON p.mood = v.mood GROUP BY p.mood",
            "SELECT count(*) FROM people p WHERE (p.id, p.age) IN (SELECT v.person, v.id FROM visits v)",
            "SELECT count(*) FROM people p WHERE (p.id, p.age) = (SELECT v.person, v.id FROM visits v ORDER BY v.id LIMIT 1)",
            "SELECT count(*) FROM people p WHERE row(p.id, p.age) NOT IN (SELECT c.id, c.n FROM cats c WHERE c.n > 0)",
            "SELECT p.id, CASE WHEN EXISTS (SELECT FROM orders o WHERE o.customer = p.id) THEN 'y' ELSE 'n' END FROM people p",
            "SELECT qty, sum(id) FROM orders GROUP BY qty UNION ALL SELECT NULL, sum(id) FROM orders",
            "SELECT id FROM orders INTERSECT SELECT person FROM visits EXCEPT SELECT customer FROM orders",
            "(SELECT id FROM orders EXCEPT ALL SELECT person FROM visits) UNION ALL (SELECT 1)",
            "(VALUES (1::bigint), (2)) UNION SELECT id FROM orders",
            "SELECT * FROM (VALUES (1), (2), (NULL)) v (a) FULL JOIN (SELECT DISTINCT qty FROM lines) l ON l.qty = v.a",
            "SELECT (SELECT array_agg(x ORDER BY x) FROM (SELECT customer AS x FROM orders UNION SELECT person FROM visits) u)",
            "SELECT count(*) FROM orders o WHERE o.qty > ALL (SELECT l.qty FROM lines l WHERE l.sku = 'none')",
            "SELECT 1 WHERE 3 = ANY (SELECT qty FROM lines UNION SELECT age FROM people)",
            "WITH a AS (SELECT id, age FROM people), b AS (SELECT a.age, count(*) AS n FROM a GROUP BY 1) SELECT b.*, (SELECT max(id) FROM a WHERE a.age = b.age) FROM b",
            "WITH cats AS (SELECT id AS n FROM people) SELECT count(*), sum(n) FROM cats",
            "WITH t AS NOT MATERIALIZED (SELECT * FROM orders) SELECT a.id FROM t a JOIN t b ON a.customer = b.id",
            "SELECT sum(a.n) FROM (SELECT count(*) AS n FROM people UNION ALL SELECT count(*) FROM visits) a",
            "SELECT region, count(*) FILTER (WHERE age > 2) * 100.0 / count(*) AS share FROM people GROUP BY region",
            "SELECT p.region, sum(CASE p.mood WHEN 'sad' THEN 1 ELSE 0 END) AS sad, sum(CASE p.mood WHEN 'ok' THEN p.age END) FROM people p GROUP BY 1",
            "SELECT region, age, count(*), grouping(region, age) FROM people GROUP BY CUBE (region, age) HAVING count(*) > 1",
            "SELECT coalesce(region, 'all'), sum(age) FROM people GROUP BY ROLLUP (region)",
            "SELECT region, percentile_cont(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY id) FROM people GROUP BY region",
            "SELECT id FROM people ORDER BY age USING > NULLS LAST, id USING < FETCH FIRST 5 ROWS WITH TIES",
            "SELECT d.day, e.id FROM days d JOIN LATERAL (SELECT id FROM days e WHERE e.day > d.day ORDER BY e.day, e.id LIMIT 1) e ON true",
        ];
        (*self.random.pick(texts)).into()
    }

    /// The same rows through one more level.
    fn nested(&mut self, scope: &Scope, field: &str, unique: &str, from: Node) -> Node {
        let (field, unique) = (field.to_owned(), unique.to_owned());
        let aggregate = self.aggregate(scope);
        let key = scope.key(&mut self.random).map_or(field.clone(), |key| key.sql.clone());
        match self.random.below(9) {
            0 => seq!["SELECT * FROM (SELECT ", field, " AS f FROM ", from, ") q"],
            1 => seq!["SELECT max(n) FROM (SELECT count(*) AS n FROM ", from, " GROUP BY ", field, ") q"],
            2 => seq![
                "SELECT count(*) FROM (SELECT ",
                field,
                " FROM ",
                from,
                " ORDER BY ",
                unique,
                " LIMIT 3) q"
            ],
            3 => seq!["SELECT EXISTS (SELECT ", field, " FROM ", from, ")"],
            4 => seq!["SELECT (SELECT ", aggregate, " FROM ", from, ")"],
            5 => seq![
                "SELECT ARRAY(SELECT ",
                self.leaf(scope, Type::Int),
                " FROM ",
                from,
                " ORDER BY ",
                unique,
                ")"
            ],
            6 => seq![
                "WITH q AS (SELECT ",
                key,
                " AS k, ",
                field,
                " AS f FROM ",
                from,
                ") SELECT k, count(f) FROM q GROUP BY k"
            ],
            7 => seq![
                "SELECT f, count(*) FROM (SELECT DISTINCT ",
                key,
                " AS k, ",
                field,
                " AS f FROM ",
                from,
                ") q GROUP BY f"
            ],
            _ => seq!["SELECT count(*) FROM cats c WHERE EXISTS (SELECT 1 FROM ", from, ")"],
        }
    }

    /// Values that are equal and look different, on different shards.
    fn lookalikes(&mut self) -> Node {
        let (from, scope) = self.one_table();
        let odd = |field: &&Field| field.ty.has_lookalikes() || field.is_collated;
        let fields: Vec<String> = scope.fields().filter(odd).map(|field| field.sql.clone()).collect();
        let field = if fields.is_empty() {
            scope.any(&mut self.random).sql.clone()
        } else {
            self.random.pick(&fields).clone()
        };
        match self.random.below(8) {
            0 => seq!["SELECT DISTINCT ", field, " AS c1 FROM ", from],
            1 => seq!["SELECT ", field.clone(), " AS c1, count(*) FROM ", from, " GROUP BY ", field],
            2 => seq!["SELECT count(DISTINCT ", field, ") FROM ", from],
            3 => seq!["SELECT count(*) FROM ", from, " GROUP BY ", field],
            4 => seq![
                "SELECT ",
                field.clone(),
                " AS c1, count(*) FROM ",
                from,
                " GROUP BY ",
                field,
                " ORDER BY ",
                seq!["1"].marked(Mark::Unique)
            ],
            5 => seq![
                "SELECT ",
                field.clone(),
                " AS c1 FROM ",
                from,
                " ORDER BY ",
                field,
                ", ",
                Node::from(scope.sources[0].unique.join(", ")).marked(Mark::Unique)
            ],
            6 => seq!["SELECT DISTINCT ", field, " AS c1 FROM ", from, " ORDER BY 1 DESC"],
            _ => seq![
                "SELECT ",
                field.clone(),
                " AS c1, count(*), min(",
                scope.sources[0].unique[0].clone(),
                ") FROM ",
                from,
                " GROUP BY 1 HAVING count(*) > 1"
            ],
        }
    }
}
