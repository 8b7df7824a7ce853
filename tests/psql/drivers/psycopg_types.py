"""psycopg 3: every type by parameters, in text and in binary, NULL and extremes."""

import struct
import sys
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import psycopg
from psycopg.types.json import Jsonb

UTC = timezone.utc
COLUMNS = [
    ("b", "boolean", [True, False]),
    ("i2", "smallint", [-32768, 32767]),
    ("i4", "integer", [-(2**31), 2**31 - 1]),
    ("i8", "bigint", [-(2**63), 2**63 - 1]),
    ("f4", "real", [0.5, -3.4028234663852886e38, float("inf")]),
    ("f8", "double precision", [1.7976931348623157e308, 5e-324, float("-inf")]),
    ("n", "numeric(20,4)", [Decimal("1234567890123456.7891"), Decimal("-0.0001")]),
    ("t", "text", ["", "naïve \U0001F98A '\"\\ \n"]),
    ("v", "varchar(5)", ["abcde", ""]),
    ("y", "bytea", [b"", bytes(range(256))]),
    ("d", "date", [date(1, 1, 1), date(9999, 12, 31)]),
    ("c", "time", [time(0, 0), time(23, 59, 59, 999999)]),
    ("ts", "timestamp", [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)]),
    ("tz", "timestamptz", [datetime(2024, 1, 15, 10, 0, tzinfo=timezone(timedelta(hours=2))), datetime(1970, 1, 1, tzinfo=UTC)]),
    ("u", "uuid", [uuid.UUID(int=0), uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("j", "jsonb", [Jsonb({"a": [1, None, "x"]}), Jsonb(None)]),
]


def plain(value):
    return value.obj if isinstance(value, Jsonb) else value


def same(name, found, value):
    """A real's text has the digits that tell it from other reals, which are few for a float of Python."""
    if name == "f4" and found is not None:
        found = struct.unpack("f", struct.pack("f", found))[0]
    return found == plain(value)


def refused(state, work):
    try:
        work()
    except psycopg.Error as error:
        assert error.sqlstate == state, (error.sqlstate, state, error)
        return error
    raise AssertionError(f"no error {state}")


def copies(address):
    """copy(): rows, blocks, text and CSV, in a transaction; an error in the middle."""
    with psycopg.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        connection.commit()
        connection.autocommit = True
        connection.execute("CREATE TABLE copied (id integer PRIMARY KEY, t text, n numeric(6,2))")
        connection.autocommit = False
        with cursor.copy("COPY copied (id, t, n) FROM STDIN") as copy:
            for number in range(1000):
                copy.write_row((number, None if number % 3 == 0 else f"tab\t{number}\n\\", Decimal(number) / 4))
        assert cursor.rowcount == 1000, cursor.rowcount
        connection.commit()
        with cursor.copy("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT") as copy:
            copy.set_types(["int4", "text", "numeric"])
            rows = list(copy.rows())
        assert len(rows) == 1000 and rows[1] == (1, "tab\t1\n\\", Decimal("0.25")) and rows[3][1] is None, rows[:4]
        with cursor.copy("COPY (SELECT id, t FROM copied WHERE id < 2 ORDER BY id) TO STDOUT (FORMAT csv)") as copy:
            assert b"".join(bytes(data) for data in copy) == b'0,\n1,"tab\t1\n\\"\n'
        try:
            with cursor.copy("COPY copied FROM STDIN") as copy:
                copy.write("2000\tx\t1\n")
                raise KeyError("had enough")
        except KeyError:
            pass
        connection.rollback()
        try:
            with cursor.copy("COPY copied FROM STDIN (FORMAT csv)") as copy:
                copy.write("2000,x,1\n2001,x,much\n")
            raise AssertionError("no error")
        except psycopg.errors.InvalidTextRepresentation as error:
            assert error.diag.context == 'COPY copied, line 2, column n: "much"', error.diag.context
        connection.rollback()
        assert cursor.execute("SELECT count(*) FROM copied").fetchone()[0] == 1000


def main(host, port):
    address = f"host={host} port={port} user=ann dbname=shop"
    with psycopg.connect(address, autocommit=True) as connection:
        assert connection.info.server_version == 150000, connection.info.server_version
        assert connection.info.encoding == "utf-8"
        columns = ", ".join(f"{name} {ty}" for name, ty, _ in COLUMNS)
        connection.execute(f"CREATE TABLE every (id integer PRIMARY KEY, {columns})")
        connection.execute("CREATE STREAM TABLE counted AS SELECT count(*) AS n, sum(i8) AS s FROM every")
        row = 0
        for binary in (False, True):
            for name, _, values in COLUMNS:
                placeholder = "%b" if binary else "%t"
                for value in values + [None]:
                    connection.execute(
                        f"INSERT INTO every (id, {name}) VALUES (%s, {placeholder})", (row, value), binary=binary
                    )
                    for out in (False, True):
                        cursor = connection.execute(f"SELECT {name} FROM every WHERE id = %s", (row,), binary=out)
                        found = cursor.fetchone()[0]
                        assert same(name, found, value), (name, binary, out, found, value)
                    row += 1
        n, s = connection.execute("SELECT n, s FROM counted").fetchone()
        assert n == row, (n, row)
        assert s == Decimal(-2), s

        # Prepared on the server after the first time, and as many at once.
        for number in range(8):
            found = connection.execute("SELECT i4 FROM every WHERE id = %s AND i4 IS NOT NULL", (number,), prepare=True)
            found.fetchall()
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO every (id, t) VALUES (%s, %s)", [(10_000 + n, f"x{n}") for n in range(50)])
            assert cursor.rowcount == 50
            cursor.execute("SELECT id, t FROM every WHERE id >= 10000 ORDER BY id")
            assert cursor.fetchmany(2) == [(10_000, "x0"), (10_001, "x1")]
            assert [c.name for c in cursor.description] == ["id", "t"]
        with connection.pipeline():
            found = [connection.execute("SELECT %s::integer + 1", (n,)) for n in range(10)]
        assert [cursor.fetchone()[0] for cursor in found] == list(range(1, 11))

        refused("42P01", lambda: connection.execute("SELECT * FROM nowhere"))
        refused("23505", lambda: connection.execute("INSERT INTO every (id) VALUES (0)"))
        error = refused("22012", lambda: connection.execute("SELECT 1 / %s", (0,)))
        assert error.diag.severity == "ERROR", error.diag.severity
        error = refused("42703", lambda: connection.execute("SELECT\n nix"))
        assert error.diag.statement_position == "9", error.diag.statement_position

    # Without autocommit it begins a block by itself.
    with psycopg.connect(address) as connection, psycopg.connect(address, autocommit=True) as other:

        def there(key):
            return other.execute("SELECT count(*) FROM every WHERE id = %s", (key,)).fetchone()[0]

        connection.execute("INSERT INTO every (id, t) VALUES (1000, 'a')")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        assert connection.execute("SELECT t FROM every WHERE id = 1000").fetchone()[0] == "a"
        assert there(1000) == 0
        connection.commit()
        assert there(1000) == 1
        connection.execute("DELETE FROM every WHERE id = 1000")
        connection.rollback()
        assert there(1000) == 1
        with connection.transaction():
            connection.execute("UPDATE every SET t = 'b' WHERE id = 1000")
            with connection.transaction(force_rollback=True):
                connection.execute("UPDATE every SET t = 'c' WHERE id = 1000")
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO every (id) VALUES (1000)")
            except psycopg.errors.UniqueViolation:
                pass
            assert connection.execute("SELECT t FROM every WHERE id = 1000").fetchone()[0] == "b"
        refused("25001", lambda: connection.execute("CREATE TABLE other (a integer)"))
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        refused("25P02", lambda: connection.execute("SELECT 1"))
        connection.rollback()
        connection.read_only = True
        refused("25006", lambda: connection.execute("DELETE FROM every"))
        connection.rollback()
        connection.read_only = None
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("UPDATE every SET t = 'mine' WHERE id = 1000")
        other.execute("UPDATE every SET t = 'theirs' WHERE id = 1000")
        try:
            connection.commit()
            raise AssertionError("no conflict")
        except psycopg.errors.SerializationFailure:
            pass
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with connection.pipeline():
            connection.execute("INSERT INTO every (id) VALUES (1001)")
            connection.execute("INSERT INTO every (id) VALUES (1002)")
        connection.commit()
        other.cursor().executemany("INSERT INTO every (id) VALUES (%s)", [(number,) for number in range(1003, 1010)])
        assert other.execute("SELECT count(*) FROM every WHERE id BETWEEN 1001 AND 1009").fetchone()[0] == 9
    copies(address)
    print("ok")


main(*sys.argv[1:])
