// PostgreSQL's JDBC driver: prepared statements that become the server's, batches, cursors by fetch size, COPY, metadata,
// savepoints, LISTEN, cancel, large objects. Prints one line for each feature and its result, as ../python/report.py does.

import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

public class JdbcClient {
    interface Work {
        Object run(Connection connection) throws Exception;
    }

    static final String[] REGIONS = {"us-east", "us-west", "eu-central", "ap-south"};
    static final double[][] PLACES = {{40.7128, -74.006}, {34.0522, -118.2437}, {52.52, 13.405}, {19.076, 72.8777}};

    static Connection connect(String... settings) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", "disable");
        for (int at = 0; at < settings.length; at += 2) properties.setProperty(settings[at], settings[at + 1]);
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection(url, properties);
    }

    static String told(Exception error) {
        if (error instanceof BatchUpdateException batch && batch.getNextException() != null) return told(batch.getNextException());
        if (error instanceof SQLException sql && sql.getSQLState() != null) {
            String message = sql.getMessage().replace("ERROR: ", "").replace("FATAL: ", "").split("\n")[0];
            return "error " + sql.getSQLState() + " " + message;
        }
        return "broken: " + error;
    }

    static Object errorOf(Connection connection, Work work) {
        try {
            return work.run(connection);
        } catch (Exception error) {
            return told(error);
        }
    }

    static void feature(String name, Work work, String... settings) {
        Object result;
        try (Connection connection = connect(settings)) {
            result = work.run(connection);
        } catch (Exception error) {
            result = told(error);
            if (System.getenv("TRACE") != null) error.printStackTrace();
        }
        System.out.println(name + "\t" + String.valueOf(result).replace("\n", "\\n"));
    }

    static List<List<Object>> rows(ResultSet set) throws SQLException {
        List<List<Object>> rows = new ArrayList<>();
        int columns = set.getMetaData().getColumnCount();
        while (set.next()) {
            List<Object> row = new ArrayList<>();
            for (int at = 1; at <= columns; at++) {
                Object value = set.getObject(at);
                row.add(value instanceof Array array ? Arrays.toString((Object[]) array.getArray()) : value);
            }
            rows.add(row);
        }
        return rows;
    }

    static List<List<Object>> query(Connection connection, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int at = 0; at < values.length; at++) statement.setObject(at + 1, values[at]);
            return rows(statement.executeQuery());
        }
    }

    static int update(Connection connection, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int at = 0; at < values.length; at++) statement.setObject(at + 1, values[at]);
            return statement.executeUpdate();
        }
    }

    public static void main(String[] arguments) throws Exception {
        feature("connection: version, isolation, schema", c -> List.of(c.getMetaData().getDatabaseProductVersion().split(" ")[0],
            c.getTransactionIsolation(), c.getSchema(), c.isValid(5)));
        feature("connection: refused logins", c -> List.of(errorOf(c, x -> connect("password", "wrong")), errorOf(c, x -> connect("user", "nobody"))));
        feature("connection: current schema and options at the start", c -> query(c, "SELECT current_setting('search_path'), current_setting('work_mem')"),
            "currentSchema", "public", "options", "-c work_mem=5MB");
        for (String mode : new String[] {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"})
            feature("statements: query mode " + mode, c -> {
                List<Object> found = new ArrayList<>();
                for (int n = 0; n < 8; n++) found.add(query(c, "SELECT ? + 1, name FROM users WHERE region = ? ORDER BY name, user_id LIMIT 1", n, REGIONS[n % 4]));
                found.add(errorOf(c, x -> query(x, "SELECT nope")));
                return found;
            }, "preferQueryMode", mode);
        feature("statements: values of many types, text and then binary", c -> {
            List<Object> found = new ArrayList<>();
            for (int n = 0; n < 7; n++)
                found.add(query(c, "SELECT ?::int8, ?::float8, ?::numeric, ?::text, ?::uuid, ?::bool, ?::date, ARRAY[1, 2]::int[]", 5L, 1.5, new BigDecimal("12.50"),
                    "Straße", new UUID(0, 7), true, java.sql.Date.valueOf("2024-02-29")));
            return found.stream().distinct().count() + " " + found.get(6);
        });
        feature("statements: prepared by the server, then the table changes", c -> {
            update(c, "DROP TABLE IF EXISTS jdbc_changes");
            update(c, "CREATE TABLE jdbc_changes (a int)");
            update(c, "INSERT INTO jdbc_changes VALUES (1)");
            List<Object> found = new ArrayList<>();
            try (PreparedStatement statement = c.prepareStatement("SELECT * FROM jdbc_changes")) {
                for (int n = 0; n < 7; n++) found.add(rows(statement.executeQuery()).size());
                update(c, "ALTER TABLE jdbc_changes ADD COLUMN b int DEFAULT 5");
                found.add(rows(statement.executeQuery()));
                update(c, "ALTER TABLE jdbc_changes ALTER COLUMN a TYPE text");
                found.add(rows(statement.executeQuery()));
            }
            update(c, "DROP TABLE jdbc_changes");
            return found;
        });
        feature("statements: several results, generated keys", c -> {
            update(c, "DROP TABLE IF EXISTS jdbc_t");
            update(c, "CREATE TABLE jdbc_t (id serial PRIMARY KEY, v text UNIQUE)");
            List<Object> found = new ArrayList<>();
            try (Statement statement = c.createStatement()) {
                boolean more = statement.execute("SELECT 1; INSERT INTO jdbc_t (v) VALUES ('x'); SELECT 2");
                while (more || statement.getUpdateCount() >= 0) {
                    found.add(more ? rows(statement.getResultSet()) : statement.getUpdateCount());
                    more = statement.getMoreResults();
                }
            }
            try (PreparedStatement statement = c.prepareStatement("INSERT INTO jdbc_t (v) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
                statement.setString(1, "keyed");
                statement.executeUpdate();
                found.add(rows(statement.getGeneratedKeys()));
            }
            return found;
        });
        feature("batches: many rows, and one that fails", c -> {
            List<Object> found = new ArrayList<>();
            try (PreparedStatement statement = c.prepareStatement("INSERT INTO jdbc_t (v) VALUES (?)")) {
                for (int n = 0; n < 500; n++) { statement.setString(1, "b" + n); statement.addBatch(); }
                found.add(Arrays.stream(statement.executeBatch()).sum());
                statement.setString(1, "b1000"); statement.addBatch();
                statement.setString(1, "b1"); statement.addBatch();
                found.add(errorOf(c, x -> statement.executeBatch()));
            }
            found.add(query(c, "SELECT count(*) FROM jdbc_t"));
            return found;
        });
        feature("batches: rewritten", c -> {
            try (PreparedStatement statement = c.prepareStatement("INSERT INTO jdbc_t (v) VALUES (?)")) {
                for (int n = 0; n < 300; n++) { statement.setString(1, "r" + n); statement.addBatch(); }
                statement.executeBatch();
            }
            return query(c, "SELECT count(*) FROM jdbc_t WHERE v LIKE 'r%'");
        }, "reWriteBatchedInserts", "true");
        feature("transactions: savepoints, roll-back, isolation, read only", c -> {
            List<Object> found = new ArrayList<>();
            c.setAutoCommit(false);
            update(c, "INSERT INTO jdbc_t (v) VALUES ('kept')");
            Savepoint savepoint = c.setSavepoint("s");
            found.add(errorOf(c, x -> update(x, "INSERT INTO jdbc_t (v) VALUES ('kept')")));
            found.add(errorOf(c, x -> query(x, "SELECT 1")));
            c.rollback(savepoint);
            c.commit();
            update(c, "DELETE FROM jdbc_t");
            c.rollback();
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            c.setReadOnly(true);
            found.add(query(c, "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only'), count(*) FROM jdbc_t"));
            found.add(errorOf(c, x -> update(x, "DELETE FROM jdbc_t")));
            c.rollback();
            return found;
        });
        feature("cursors: by fetch size, of one shard and of all", c -> {
            c.setAutoCommit(false);
            List<Object> found = new ArrayList<>();
            for (String sql : new String[] {"SELECT g FROM generate_series(1, 100) g", "SELECT name FROM users WHERE region = 'us-east'", "SELECT name FROM users ORDER BY name, user_id"})
                try (Statement statement = c.createStatement()) {
                    statement.setFetchSize(7);
                    found.add(rows(statement.executeQuery(sql)).size());
                }
            c.commit();
            return found;
        });
        feature("copy: in and out, one shard and all", c -> {
            CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
            List<Object> found = new ArrayList<>();
            found.add(copy.copyIn("COPY jdbc_t (v) FROM STDIN", new StringReader("c1\nc2\n")));
            StringBuilder text = new StringBuilder();
            for (int n = 0; n < 8; n++)
                text.append("j,j@x," + PLACES[n % 4][0] + "," + PLACES[n % 4][1] + "," + REGIONS[n % 4] + "\n");
            found.add(copy.copyIn("COPY users (name, email, latitude, longitude, region) FROM STDIN (FORMAT csv)", new StringReader(text.toString())));
            StringWriter out = new StringWriter();
            found.add(copy.copyOut("COPY (SELECT region, count(*) FROM users WHERE email = 'j@x' GROUP BY region ORDER BY region) TO STDOUT", out));
            found.add(out.toString());
            return found;
        });
        feature("notify: heard", c -> {
            PGConnection listener = c.unwrap(PGConnection.class);
            try (Statement statement = c.createStatement()) { statement.execute("LISTEN jdbc_channel"); }
            try (Connection other = connect()) { query(other, "SELECT pg_notify('jdbc_channel', 'heard')"); }
            for (int tries = 0; tries < 100; tries++) {
                PGNotification[] notes = listener.getNotifications(100);
                if (notes != null && notes.length > 0) return notes[0].getName() + " " + notes[0].getParameter();
            }
            return "nothing";
        });
        feature("cancel: by a query timeout", c -> {
            try (Statement statement = c.createStatement()) {
                statement.setQueryTimeout(1);
                Object found = errorOf(c, x -> statement.execute("SELECT pg_sleep(60)"));
                return List.of(found, query(c, "SELECT 1"));
            }
        });
        feature("large objects", c -> {
            c.setAutoCommit(false);
            LargeObjectManager manager = c.unwrap(PGConnection.class).getLargeObjectAPI();
            long oid = manager.createLO();
            LargeObject object = manager.open(oid);
            object.write("large object".getBytes());
            object.seek(6);
            String read = new String(object.read(6));
            object.close();
            manager.delete(oid);
            c.commit();
            return read;
        });
        feature("metadata: tables, columns, keys, indexes, types", c -> {
            List<Object> found = new ArrayList<>();
            for (ResultSet set : List.of(c.getMetaData().getColumns(null, "public", "rides", null), c.getMetaData().getPrimaryKeys(null, "public", "users"),
                c.getMetaData().getIndexInfo(null, "public", "rides", false, false), c.getMetaData().getTables(null, "public", "%", new String[] {"TABLE"})))
                found.add(rows(set).stream().map(row -> row.subList(2, Math.min(8, row.size()))).toList());
            ResultSetMetaData described = c.prepareStatement("SELECT price, status FROM rides WHERE region = ?").getMetaData();
            found.add(described.getColumnTypeName(1) + " " + described.getPrecision(1) + " " + described.getTableName(2));
            return found;
        });
        feature("routing: sharded rows written and read", c -> {
            List<Object> found = new ArrayList<>();
            for (int n = 0; n < 4; n++) {
                UUID id = new UUID(1, n);
                found.add(update(c, "INSERT INTO users (user_id, name, email, latitude, longitude, region) VALUES (?, ?, ?, ?, ?, ?)", id, "w", "w@x", PLACES[n][0], PLACES[n][1], REGIONS[n]));
                found.add(update(c, "UPDATE users SET total_rides = ? WHERE user_id = ? AND region = ?", n, id, REGIONS[n]));
            }
            found.add(query(c, "SELECT region, total_rides FROM users WHERE email = ? ORDER BY total_rides", "w@x"));
            for (String region : REGIONS) found.add(update(c, "DELETE FROM users WHERE email = 'w@x' AND region = ?", region));
            return found;
        });
        feature("routing: a batch over all regions", c -> {
            c.setAutoCommit(false);
            Object found = errorOf(c, x -> {
                PreparedStatement statement = x.prepareStatement("INSERT INTO users (name, email, latitude, longitude, region) VALUES (?, 'q@x', ?, ?, ?)");
                for (int n = 0; n < 4; n++) {
                    statement.setString(1, "q"); statement.setDouble(2, PLACES[n][0]); statement.setDouble(3, PLACES[n][1]); statement.setString(4, REGIONS[n]);
                    statement.addBatch();
                }
                return Arrays.toString(statement.executeBatch());
            });
            c.rollback();
            return found;
        });
        feature("scatter: groups, order, joins", c -> List.of(
            query(c, "SELECT status, count(*), sum(price), avg(price) FROM rides GROUP BY status ORDER BY status"),
            query(c, "SELECT ride_id FROM rides WHERE price > ? ORDER BY price DESC, ride_id LIMIT ?", new BigDecimal("20"), 3),
            query(c, "SELECT count(*) FROM rides JOIN drivers USING (driver_id) WHERE drivers.region = ?", "us-west")));
        feature("clients at the same time", c -> {
            ExecutorService threads = Executors.newFixedThreadPool(10);
            List<Future<Object>> answers = new ArrayList<>();
            for (int n = 0; n < 10; n++) {
                int number = n;
                answers.add(threads.submit(() -> {
                    try (Connection own = connect("ApplicationName", "client " + number)) {
                        boolean right = true;
                        for (int m = 0; m < 12; m++)
                            right &= query(own, "SELECT ?, current_setting('application_name'), count(*) > 0 FROM users WHERE region = ?", m, REGIONS[m % 4])
                                .equals(List.of(List.of(m, "client " + number, true)));
                        return right;
                    }
                }));
            }
            List<Object> found = new ArrayList<>();
            for (Future<Object> answer : answers) found.add(answer.get());
            threads.shutdown();
            return found;
        });
        feature("end", c -> update(c, "DROP TABLE jdbc_t"));
    }
}
