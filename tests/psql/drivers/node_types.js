// node's pg: every type by parameters, NULL and extremes.
"use strict";
const assert = require("node:assert");
const { Client, Pool } = require("pg");

const COLUMNS = [
  ["b", "boolean", [true, false]],
  ["i2", "smallint", [-32768, 32767]],
  ["i4", "integer", [-2147483648, 2147483647]],
  ["i8", "bigint", ["-9223372036854775808", "9223372036854775807"]],
  ["f4", "real", [0.5, Infinity]],
  ["f8", "double precision", [1.7976931348623157e308, 5e-324]],
  ["n", "numeric(20,4)", ["1234567890123456.7891", "-0.0001"]],
  ["t", "text", ["", "naïve 🦊 '\"\\ \n"]],
  ["v", "varchar(5)", ["abcde", ""]],
  ["y", "bytea", [Buffer.alloc(0), Buffer.from([0, 1, 254, 255])]],
  ["c", "time", ["00:00:00", "23:59:59.999999"]],
  ["tz", "timestamptz", [new Date("2024-01-15T10:00:00.123Z"), new Date(0)]],
  ["u", "uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]],
  ["j", "jsonb", [{ a: [1, null, "x"] }, 7]],
];

async function refused(state, work) {
  try {
    await work();
  } catch (error) {
    assert.strictEqual(error.code, state, error);
    return error;
  }
  throw new Error(`no error ${state}`);
}

async function main(host, port) {
  const address = { host, port: Number(port), user: "ann", database: "shop" };
  const client = new Client(address);
  await client.connect();
  const columns = COLUMNS.map(([name, type]) => `${name} ${type}`).join(", ");
  await client.query(`CREATE TABLE every (id integer PRIMARY KEY, ${columns}, d date, ts timestamp)`);
  await client.query("CREATE STREAM TABLE counted AS SELECT count(*) AS n FROM every");
  let row = 0;
  for (const [name, type, values] of COLUMNS) {
    for (const value of [...values, null]) {
      const parameter = type === "jsonb" && value !== null ? JSON.stringify(value) : value;
      await client.query(`INSERT INTO every (id, ${name}) VALUES ($1, $2)`, [row, parameter]);
      const found = await client.query({ name: `get ${name}`, text: `SELECT ${name} FROM every WHERE id = $1`, values: [row] });
      assert.deepStrictEqual(found.rows[0][name], value, `${name}: ${found.rows[0][name]} for ${value}`);
      row += 1;
    }
  }
  // Dates and timestamps without a zone are the machine's own in this driver: as text they are what they are.
  await client.query("INSERT INTO every (id, d, ts) VALUES ($1, $2, $3)", [row, "0001-01-01", "9999-12-31 23:59:59.999999"]);
  const text = await client.query("SELECT d::text AS d, ts::text AS ts FROM every WHERE id = $1", [row]);
  assert.deepStrictEqual({ ...text.rows[0] }, { d: "0001-01-01", ts: "9999-12-31 23:59:59.999999" });
  row += 1;
  const counted = await client.query("SELECT n FROM counted");
  assert.strictEqual(counted.rows[0].n, String(row));

  const several = await client.query("SELECT 1 AS one; SELECT 2 AS two, 3 AS three");
  assert.deepStrictEqual(several.map((result) => result.rows.length), [1, 1]);
  const updated = await client.query("UPDATE every SET t = 'x' WHERE id < $1", [5]);
  assert.deepStrictEqual([updated.command, updated.rowCount], ["UPDATE", 5]);
  const arrays = await client.query({ text: "SELECT 1, NULL, 'x'", rowMode: "array" });
  assert.deepStrictEqual(arrays.rows, [[1, null, "x"]]);

  await refused("42P01", () => client.query("SELECT * FROM nowhere"));
  const error = await refused("23505", () => client.query("INSERT INTO every (id) VALUES (0)"));
  assert.strictEqual(error.detail, "Key (id)=(0) already exists.");
  assert.strictEqual((await refused("42703", () => client.query("SELECT nix"))).position, "8");
  await client.query("BEGIN");
  await client.query("INSERT INTO every (id, t) VALUES ($1, $2)", [1000, "a"]);
  const other = new Client(address);
  await other.connect();
  const there = async () => (await other.query("SELECT t FROM every WHERE id = 1000")).rows.map((found) => found.t);
  assert.deepStrictEqual(await there(), []);
  await client.query("COMMIT");
  assert.deepStrictEqual(await there(), ["a"]);
  await client.query("BEGIN");
  await client.query("UPDATE every SET t = 'b' WHERE id = 1000");
  await refused("23505", () => client.query("INSERT INTO every (id) VALUES (1000)"));
  await refused("25P02", () => client.query("SELECT 1"));
  assert.strictEqual((await client.query("COMMIT")).command, "ROLLBACK");
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
  await client.query("UPDATE every SET t = 'mine' WHERE id = 1000");
  await other.query("UPDATE every SET t = 'theirs' WHERE id = 1000");
  await refused("40001", () => client.query("COMMIT"));
  assert.deepStrictEqual(await there(), ["theirs"]);
  await refused("23505", () => client.query("INSERT INTO every (id) VALUES (1001); INSERT INTO every (id) VALUES (1000)"));
  assert.strictEqual((await client.query("DELETE FROM every WHERE id = 1001")).rowCount, 0);
  await other.end();
  await client.end();

  const pool = new Pool({ ...address, max: 4 });
  const sums = await Promise.all([...Array(20).keys()].map((n) => pool.query("SELECT $1::integer * 2 AS n", [n])));
  assert.deepStrictEqual(sums.map((result) => result.rows[0].n), [...Array(20).keys()].map((n) => n * 2));
  await pool.end();
  console.log("ok");
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
