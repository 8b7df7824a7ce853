#!/usr/bin/env python3
"""confirm.py DATA FIGURES... : whether the results of `millstream bench NAME --json` are right.

DATA is a folder that `millstream bench NAME --lines DATA` wrote for the same events. FIGURES are files with the JSON lines of runs.
DuckDB computes each query over the same lines; its rows, written as a sink of millstream writes them, must have the same hash: the
sum of xxh3_128 of each row's JSON, modulo 2^128. Of a peer's run (benches/peers) the number of rows and the sum of one column must be the
same. Needs the packages duckdb and xxhash. Exit 1 if a result is another.
"""
import json
import sys

import duckdb
import xxhash

BIGINTS = {
    "bid": "auction bidder price dateTime",
    "auction": "id initialBid reserve dateTime expires seller category",
    "person": "id dateTime",
}
TEXTS = {
    "bid": "channel url extra",
    "auction": "itemName description extra",
    "person": "name emailAddress creditCard city state extra",
}
ROWS = {
    "orders": "STRUCT(id BIGINT, customer_id BIGINT, amount BIGINT, status VARCHAR)",
    "customers": "STRUCT(id BIGINT, name VARCHAR, region VARCHAR)",
}
QUERIES = {
    "q0": (["bid"], "SELECT auction, bidder, price, dateTime, extra FROM bid"),
    "q1": (["bid"], "SELECT auction, bidder, price * 908 AS price, dateTime, extra FROM bid"),
    "q3": (["auction", "person"], """SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id
        WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')"""),
    "q4": (["auction", "bid"], """SELECT category, (sum(final) // count(*))::BIGINT AS average FROM (
        SELECT max(b.price) AS final, a.category FROM auction a
        JOIN bid b ON a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires GROUP BY a.id, a.category)
        GROUP BY category"""),
    "q5s": (["bid"], "SELECT auction, count(*) AS bids FROM bid GROUP BY auction"),
    "q7": (["bid"], """SELECT b.auction, b.price, b.bidder, b.dateTime, b.extra FROM bid b
        JOIN (SELECT max(price) AS highest, dateTime // 10000 AS seconds FROM bid GROUP BY 2) m
        ON b.price = m.highest AND b.dateTime // 10000 = m.seconds"""),
    # A sum of bigint is a numeric, which is written as a text.
    "cdc": (["orders", "customers"], """SELECT c.region, o.status, count(*) AS orders, sum(o.amount)::VARCHAR AS amount
        FROM orders o JOIN customers c ON o.customer_id = c.id GROUP BY c.region, o.status"""),
}
QUERIES["cdc-default"] = QUERIES["cdc"]
# The columns that peers add up.
SUMS = {"q0": "price", "q1": "price", "q3": "id", "q4": "average", "q5s": "bids", "q7": "price", "cdc": "amount"}


def table(connection, folder, name):
    """A table of a topic's rows: of changes those that are left."""
    if name in ROWS:
        # Of a key the last change counts; ts_ms never falls within one.
        files = f"read_json('{folder}/cdc/{name}/*.jsonl', format='newline_delimited', columns={{before: '{ROWS[name]}', "
        files += f"after: '{ROWS[name]}', op: 'VARCHAR', ts_ms: 'BIGINT'}})"
        last = f"SELECT arg_max(op, ts_ms) AS op, arg_max({{'row': after}}, ts_ms)['row'] AS row FROM {files}"
        connection.execute(f"""CREATE TABLE {name} AS SELECT unnest(row) FROM (
            {last} GROUP BY coalesce(after.id, before.id)) WHERE op <> 'd'""")
        return
    columns = [f"{column}: 'BIGINT'" for column in BIGINTS[name].split()]
    columns += [f"{column}: 'VARCHAR'" for column in TEXTS[name].split()]
    files = f"read_json('{folder}/{name}/*.jsonl', format='newline_delimited', columns={{{', '.join(columns)}}})"
    connection.execute(f"CREATE TABLE {name} AS FROM {files}")


def result(connection, query):
    """The number of rows of a query, and their hash."""
    answer = connection.execute(query)
    names = [column[0] for column in answer.description]
    count, total = 0, 0
    while rows := answer.fetchmany(65536):
        for row in rows:
            text = json.dumps(dict(zip(names, row)), separators=(",", ":"), ensure_ascii=False)
            total += xxhash.xxh3_128_intdigest(text.encode())
        count += len(rows)
    return count, f"{total % 2**128:032x}"


def sums(connection, name):
    """The number of rows of a query, and the sum of the column that peers add up."""
    query = f"SELECT count(*), sum({SUMS[name]}::HUGEINT) FROM ({QUERIES[name][1]})"
    return tuple(int(value or 0) for value in connection.execute(query).fetchone())


def main():
    folder, runs = sys.argv[1], []
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            runs += [json.loads(line) for line in file if line.startswith("{")]
    connection, there, right, wrong = duckdb.connect(), set(), {}, 0
    for run in runs:
        is_peer = "peer" in run
        name = run["q"] if is_peer else run["bench"]
        if is_peer and ("out_sum" not in run or name not in SUMS):
            print(f"{run['peer']} {name}: it does not tell its result")
            continue
        if name not in QUERIES:
            sys.exit(f"confirm.py: there is no query {name}; there are {', '.join(QUERIES)}")
        tables, query = QUERIES[name]
        for needed in set(tables) - there:
            table(connection, folder, needed)
            there.add(needed)
        if (is_peer, name) not in right:
            right[is_peer, name] = sums(connection, name) if is_peer else result(connection, query)
        rows, proof = right[is_peer, name]
        if is_peer:
            who, of, has = f"{run['peer']} {name}", "sum", (run["out_rows"], run["out_sum"])
        else:
            who, of, has = f"{name} {run['source']} {run['sink']}", "hash", (run["result_rows"], run["result_hash"])
        same = (rows, proof) == has
        wrong += not same
        shown = "right" if same else f"WRONG: DuckDB has {rows} rows, {of} {proof}"
        print(f"{who}: {has[0]} rows, {of} {has[1]}: {shown}")
    if not runs:
        sys.exit("confirm.py: no run to confirm: give the files that `millstream bench NAME --json` wrote")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
