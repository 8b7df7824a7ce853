import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.TimeZone;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGobject;

/** JDBC: every type by parameters, in text and in binary, NULL and extremes; batches; the metadata that tools ask for. */
public class JdbcTypes {
    record Column(String name, String type, int sql, Class<?> is, Object... values) {}

    static final Column[] COLUMNS = {
        new Column("b", "boolean", Types.BIT, Boolean.class, true, false),
        new Column("i2", "smallint", Types.SMALLINT, Short.class, Short.MIN_VALUE, Short.MAX_VALUE),
        new Column("i4", "integer", Types.INTEGER, Integer.class, Integer.MIN_VALUE, Integer.MAX_VALUE),
        new Column("i8", "bigint", Types.BIGINT, Long.class, Long.MIN_VALUE, Long.MAX_VALUE),
        new Column("f4", "real", Types.REAL, Float.class, Float.MAX_VALUE, 0.1f, Float.NEGATIVE_INFINITY),
        new Column("f8", "double precision", Types.DOUBLE, Double.class, Double.MAX_VALUE, Double.MIN_VALUE, Double.NaN),
        new Column("n", "numeric(20,4)", Types.NUMERIC, BigDecimal.class, new BigDecimal("1234567890123456.7891"), new BigDecimal("-0.0001")),
        new Column("t", "text", Types.VARCHAR, String.class, "", "naïve \uD83E\uDD8A '\"\\ \n"),
        new Column("v", "varchar(5)", Types.VARCHAR, String.class, "abcde", ""),
        new Column("y", "bytea", Types.BINARY, byte[].class, new byte[0], new byte[] {0, 1, -2, -1}),
        new Column("d", "date", Types.DATE, LocalDate.class, LocalDate.of(1, 1, 1), LocalDate.of(9999, 12, 31)),
        new Column("c", "time", Types.TIME, LocalTime.class, LocalTime.MIDNIGHT, LocalTime.of(23, 59, 59, 999_999_000)),
        new Column("ts", "timestamp", Types.TIMESTAMP, LocalDateTime.class, LocalDateTime.of(1, 1, 1, 0, 0), LocalDateTime.of(9999, 12, 31, 23, 59, 59, 999_999_000)),
        new Column("tz", "timestamptz", Types.TIMESTAMP_WITH_TIMEZONE, OffsetDateTime.class, OffsetDateTime.of(2024, 1, 15, 10, 0, 0, 0, ZoneOffset.UTC)),
        new Column("u", "uuid", Types.OTHER, UUID.class, new UUID(0, 0), UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        new Column("j", "jsonb", Types.OTHER, String.class, json("{\"a\": [1, null, \"x\"]}")),
    };

    static PGobject json(String text) {
        try {
            PGobject object = new PGobject();
            object.setType("jsonb");
            object.setValue(text);
            return object;
        } catch (SQLException error) {
            throw new AssertionError(error);
        }
    }

    static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(String.valueOf(what));
        }
    }

    static boolean same(Object found, Object value) {
        if (value instanceof PGobject object) {
            return Objects.equals(found, object.getValue());
        }
        return found instanceof byte[] bytes ? value != null && Arrays.equals(bytes, (byte[]) value) : Objects.equals(found, value);
    }

    static String text(Connection connection, int id) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery("SELECT t FROM every WHERE id = " + id)) {
            return result.next() ? result.getString(1) : null;
        }
    }

    static void transactions(Connection connection, String url) throws SQLException {
        try (Statement statement = connection.createStatement(); Connection other = DriverManager.getConnection(url)) {
            connection.setAutoCommit(false);
            statement.execute("INSERT INTO every (id, t) VALUES (1000, 'a')");
            check(text(other, 1000) == null, "nobody else sees it");
            check("a".equals(text(connection, 1000)), "own writes");
            connection.commit();
            check("a".equals(text(other, 1000)), "committed");
            statement.execute("UPDATE every SET t = 'b' WHERE id = 1000");
            Savepoint savepoint = connection.setSavepoint();
            statement.execute("UPDATE every SET t = 'c' WHERE id = 1000");
            refused("23505", () -> statement.execute("INSERT INTO every (id) VALUES (1000)"));
            refused("25P02", () -> statement.execute("SELECT 1"));
            connection.rollback(savepoint);
            check("b".equals(text(connection, 1000)), "back to the savepoint");
            connection.rollback();
            check("a".equals(text(connection, 1000)), "rolled back");
            connection.rollback();
            // Rows in parts: the portal lives as long as the transaction.
            statement.setFetchSize(10);
            try (ResultSet result = statement.executeQuery("SELECT id FROM every ORDER BY id")) {
                int rows = 0;
                while (result.next()) {
                    rows++;
                }
                check(rows > 100, rows);
            }
            statement.setFetchSize(0);
            connection.rollback();
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            check(connection.getTransactionIsolation() == Connection.TRANSACTION_REPEATABLE_READ, "isolation");
            statement.execute("UPDATE every SET t = 'mine' WHERE id = 1000");
            try (Statement others = other.createStatement()) {
                others.execute("UPDATE every SET t = 'theirs' WHERE id = 1000");
            }
            refused("40001", connection::commit);
            connection.rollback();
            connection.setReadOnly(true);
            refused("25006", () -> statement.execute("DELETE FROM every"));
            connection.rollback();
            connection.setReadOnly(false);
            refused("25001", () -> statement.execute("CREATE TABLE other (a integer)"));
            connection.rollback();
            connection.setAutoCommit(true);
            check("theirs".equals(text(connection, 1000)), "the first to commit");
            statement.execute("DELETE FROM every WHERE id = 1000");
        }
    }

    interface Work {
        void run() throws SQLException;
    }

    static void refused(String state, Work work) {
        try {
            work.run();
        } catch (SQLException error) {
            check(state.equals(error.getSQLState()), error + " " + error.getSQLState());
            return;
        }
        throw new AssertionError("no error " + state);
    }

    /** jsonb is a string for whoever asks for it. */
    static Object found(ResultSet result, Class<?> is) throws SQLException {
        if (is == String.class) {
            return result.getString(1);
        }
        return is == byte[].class ? result.getBytes(1) : result.getObject(1, is);
    }

    static int row = 0;

    /** Writes and reads every value on a connection whose settings decide between text and binary. */
    static void types(Connection connection) throws SQLException {
        for (Column column : COLUMNS) {
            List<Object> values = new ArrayList<>(Arrays.asList(column.values()));
            values.add(null);
            String insert = "INSERT INTO every (id, " + column.name() + ") VALUES (?, ?)";
            String select = "SELECT " + column.name() + " FROM every WHERE id = ?";
            try (PreparedStatement in = connection.prepareStatement(insert);
                    PreparedStatement out = connection.prepareStatement(select)) {
                for (Object value : values) {
                    in.setInt(1, row);
                    if (value == null) {
                        in.setNull(2, column.sql());
                    } else {
                        in.setObject(2, value);
                    }
                    check(in.executeUpdate() == 1, column);
                    // Often enough that it is prepared on the server.
                    for (int time = 0; time < 2; time++) {
                        out.setInt(1, row);
                        try (ResultSet result = out.executeQuery()) {
                            check(result.next(), column);
                            Object found = found(result, column.is());
                            check(same(found, value), column.name() + ": " + found + " for " + value);
                            check(!result.next(), column);
                        }
                    }
                    row++;
                }
            }
        }
    }

    static void batches(Connection connection) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO every (id, t) VALUES (?, ?)")) {
            for (int n = 0; n < 100; n++) {
                insert.setInt(1, 100_000 + n);
                insert.setString(2, "x" + n);
                insert.addBatch();
            }
            check(Arrays.stream(insert.executeBatch()).sum() == 100, "a batch");
        }
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(7);
            int rows = 0;
            try (ResultSet result = statement.executeQuery("SELECT id FROM every WHERE id >= 100000 ORDER BY id")) {
                while (result.next()) {
                    check(result.getInt(1) == 100_000 + rows++, rows);
                }
            }
            check(rows == 100, rows);
        }
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO every (id) VALUES (?) RETURNING id")) {
            insert.setInt(1, 200_000);
            try (ResultSet result = insert.executeQuery()) {
                check(result.next() && result.getInt(1) == 200_000, "RETURNING");
            }
        }
    }

    static void metadata(Connection connection) throws SQLException {
        DatabaseMetaData data = connection.getMetaData();
        check(data.getDatabaseMajorVersion() == 15, data.getDatabaseProductVersion());
        List<String> tables = new ArrayList<>();
        try (ResultSet result = data.getTables(null, "public", "%", null)) {
            while (result.next()) {
                tables.add(result.getString("TABLE_NAME"));
            }
        }
        check(tables.contains("every") && tables.contains("counted"), tables);
        List<String> columns = new ArrayList<>();
        try (ResultSet result = data.getColumns(null, "public", "every", "%")) {
            while (result.next()) {
                columns.add(result.getString("COLUMN_NAME") + " " + result.getString("TYPE_NAME") + " " + result.getInt("DATA_TYPE"));
            }
        }
        check(columns.size() == COLUMNS.length + 1, columns);
        check(columns.get(0).equals("id int4 4") && columns.contains("v varchar 12") && columns.contains("n numeric 2"), columns);
        try (ResultSet result = data.getPrimaryKeys(null, "public", "every")) {
            check(result.next() && result.getString("COLUMN_NAME").equals("id"), "the primary key");
        }
        for (ResultSet result : List.of(data.getSchemas(), data.getCatalogs(), data.getTypeInfo(), data.getTableTypes())) {
            check(result.next(), "metadata");
            result.close();
        }
        data.getIndexInfo(null, "public", "every", false, true).close();
        data.getImportedKeys(null, "public", "every").close();
        data.getProcedures(null, "public", "%").close();
    }

    /** CopyManager: streams both ways, a CopyIn that is cancelled, in a transaction. */
    static void copies(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TABLE copied (id integer PRIMARY KEY, t text)");
            CopyManager manager = connection.unwrap(PGConnection.class).getCopyAPI();
            String rows = "1,\"a, b\"\n2,\n3,\"two\nlines\"\n";
            check(manager.copyIn("COPY copied FROM STDIN (FORMAT csv)", new StringReader(rows)) == 3, "copied in");
            StringWriter out = new StringWriter();
            long count = manager.copyOut("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT (FORMAT csv)", out);
            check(count == 3 && out.toString().equals(rows), out);
            byte[] row = "4\tx\n".getBytes("UTF-8");
            CopyIn cancelled = manager.copyIn("COPY copied FROM STDIN");
            cancelled.writeToCopy(row, 0, row.length);
            cancelled.cancelCopy();
            connection.setAutoCommit(false);
            CopyIn copy = manager.copyIn("COPY copied FROM STDIN");
            copy.writeToCopy(row, 0, row.length);
            check(copy.endCopy() == 1, "one row");
            connection.rollback();
            connection.setAutoCommit(true);
            byte[] wrong = "x\ty\n".getBytes("UTF-8");
            refused("22P02", () -> {
                CopyIn refused = manager.copyIn("COPY copied FROM STDIN");
                refused.writeToCopy(wrong, 0, wrong.length);
                refused.endCopy();
            });
            try (ResultSet result = statement.executeQuery("SELECT count(*) FROM copied")) {
                check(result.next() && result.getInt(1) == 3, "three rows");
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        String url = "jdbc:postgresql://" + arguments[0] + ":" + arguments[1] + "/shop?user=ann";
        try (Connection connection = DriverManager.getConnection(url); Statement statement = connection.createStatement()) {
            StringBuilder create = new StringBuilder("CREATE TABLE every (id integer PRIMARY KEY");
            for (Column column : COLUMNS) {
                create.append(", ").append(column.name()).append(' ').append(column.type());
            }
            statement.execute(create.append(")").toString());
            statement.execute("CREATE STREAM TABLE counted AS SELECT count(*) AS n FROM every");
            types(connection);
            batches(connection);
            metadata(connection);
            copies(connection);
            try (ResultSet result = statement.executeQuery("SELECT n FROM counted")) {
                check(result.next() && result.getLong(1) == row + 101, "the stream table");
            }
            refused("42P01", () -> statement.executeQuery("SELECT * FROM nowhere"));
            refused("23505", () -> statement.execute("INSERT INTO every (id) VALUES (0)"));
            refused("57014", () -> {
                statement.execute("SET statement_timeout = 100");
                statement.executeQuery("WITH d (x) AS (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) SELECT sum(a.x * e.x + i.x) "
                    + "FROM d a, d b, d c, d d, d e, d f, d g, d h, d i, d j, d k, d l, d m");
            });
            statement.execute("SET statement_timeout = 0");
            check(connection.getTransactionIsolation() == Connection.TRANSACTION_READ_COMMITTED, "isolation");
            check(connection.isValid(5), "valid");
            statement.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY");
            refused("25006", () -> statement.execute("DELETE FROM every"));
            statement.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE");
            transactions(connection, url);
        }
        // In binary from the first time on; and only in text, by the simple protocol.
        for (String mode : List.of("&prepareThreshold=-1", "&preferQueryMode=simple", "&binaryTransfer=false")) {
            try (Connection connection = DriverManager.getConnection(url + mode)) {
                types(connection);
            }
        }
        System.out.println("ok");
    }
}
