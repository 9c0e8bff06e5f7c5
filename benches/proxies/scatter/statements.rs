//! What is asked, and what EXPLAIN says that Meridian asks the shards for it.

use anyhow::bail;

/// One statement over four shards.
#[derive(Debug)]
pub struct Statement {
    pub name: &'static str,
    pub text: &'static str,
}

/// All rows in order, which are also what memory is measured with.
pub const ORDERED: Statement = Statement {
    name: "all rows, ordered",
    text: "SELECT \"timestamp\", duration_minutes FROM rides ORDER BY \"timestamp\"",
};

/// Gathers the most rows.
pub const JOIN: Statement = Statement {
    name: "join",
    text: "SELECT d.availability, count(*), sum(r.price) FROM rides r JOIN drivers d ON d.driver_id = r.driver_id \
           GROUP BY d.availability",
};

pub const STATEMENTS: [Statement; 16] = [
    Statement { name: "count", text: "SELECT count(*) FROM rides" },
    Statement {
        name: "5 groups",
        text: "SELECT status, count(*), sum(price), avg(distance_km) FROM rides GROUP BY status",
    },
    Statement {
        name: "20 groups",
        text: "SELECT region, status, count(*), sum(price), avg(distance_km) FROM rides GROUP BY region, status",
    },
    Statement {
        name: "filtered aggregate",
        text: "SELECT count(*), sum(price), avg(duration_minutes) FROM rides \
               WHERE status = 'completed' AND price > 80",
    },
    Statement {
        name: "deviations",
        text: "SELECT status, stddev(price), corr(price, distance_km) FROM rides GROUP BY status",
    },
    Statement { name: "distinct", text: "SELECT DISTINCT pickup_geohash FROM rides" },
    Statement {
        name: "top 10, no index",
        text: "SELECT ride_id, price FROM rides ORDER BY price DESC, ride_id LIMIT 10",
    },
    Statement {
        name: "top 10, by index",
        text: "SELECT ride_id, \"timestamp\" FROM rides ORDER BY \"timestamp\" DESC LIMIT 10",
    },
    Statement {
        name: "10 after 10,000",
        text: "SELECT ride_id, price FROM rides ORDER BY \"timestamp\" OFFSET 10000 LIMIT 10",
    },
    Statement {
        name: "two tables, top 10",
        text: "SELECT driver_id, price FROM rides WHERE price > 80 UNION ALL SELECT driver_id, rating FROM drivers \
               ORDER BY 2 DESC, 1 LIMIT 10",
    },
    Statement { name: "all rows", text: "SELECT \"timestamp\", duration_minutes FROM rides" },
    ORDERED,
    Statement {
        name: "join by the key",
        text: "SELECT d.availability, count(*), sum(r.price) FROM rides r \
               JOIN drivers d ON d.region = r.region AND d.driver_id = r.driver_id GROUP BY d.availability",
    },
    Statement {
        name: "join with one driver",
        text: "SELECT d.name, count(*), sum(r.price) FROM rides r JOIN drivers d ON d.driver_id = r.driver_id \
               WHERE d.name = 'Driver 7 of eu-central' GROUP BY d.name",
    },
    Statement {
        name: "filtered join",
        text: "SELECT d.name, sum(r.price) FROM rides r JOIN drivers d ON d.driver_id = r.driver_id \
               WHERE r.price > 80 AND d.rating > 4 GROUP BY d.name ORDER BY 2 DESC, 1 LIMIT 5",
    },
    JOIN,
];

/// How many rows a shard is asked for, in EXPLAIN.
const BOUND: &str = "$1::bigint";

/// How Meridian answers a statement.
#[derive(Debug)]
pub enum Route {
    /// Each shard is asked this text.
    Merged { text: String, combine: String },
    /// Each shard is asked for the rows of these tables, in binary, one table after the other.
    Gathered { texts: Vec<String> },
}

impl Route {
    /// From the lines of EXPLAIN.
    pub fn read(statement: &Statement, lines: &[String]) -> anyhow::Result<Self> {
        let of = |key: &str| -> Vec<String> {
            let prefix = format!("Meridian: {key}: ");
            lines.iter().filter_map(|line| Some(line.strip_prefix(&prefix)?.to_owned())).collect()
        };
        let texts = of("gather");
        if !texts.is_empty() {
            return Ok(Self::Gathered { texts });
        }
        let (Some(text), Some(combine)) = (of("each shard").pop(), of("combine").into_iter().next()) else {
            bail!("{}: EXPLAIN names no text for the shards", statement.name);
        };
        let text = if text == "the statement as it is" { statement.text.to_owned() } else { text };
        let rows = |key| of(key).first().and_then(|value| value.parse::<u64>().ok()).unwrap_or_default();
        // Of the rows before OFFSET any may be a shard's.
        let text = text.replace(BOUND, &(rows("limit") + rows("offset")).to_string());
        Ok(Self::Merged { text, combine })
    }

    pub fn texts(&self) -> &[String] {
        match self {
            Self::Merged { text, .. } => std::slice::from_ref(text),
            Self::Gathered { texts } => texts,
        }
    }

    /// As EXPLAIN calls it.
    pub fn combine(&self) -> &str {
        match self {
            Self::Merged { combine, .. } => combine,
            Self::Gathered { .. } => "by one server, over gathered tables",
        }
    }
}
