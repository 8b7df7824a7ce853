-- The database that Debezium reads. EXTERNAL: a large value is never compressed, so it is always out of line.
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, region varchar(8), tier smallint NOT NULL);

CREATE TABLE orders (
  id bigint PRIMARY KEY, customer_id int, status text NOT NULL, amount numeric(12,2), placed timestamptz NOT NULL,
  note text, doc jsonb);
ALTER TABLE orders ALTER note SET STORAGE EXTERNAL;

CREATE TABLE documents (
  customer_id int, title text, version int NOT NULL, body text, scan bytea, meta jsonb, PRIMARY KEY (customer_id, title));
ALTER TABLE documents ALTER body SET STORAGE EXTERNAL, ALTER scan SET STORAGE EXTERNAL, ALTER meta SET STORAGE EXTERNAL;
ALTER TABLE documents REPLICA IDENTITY FULL;

CREATE TABLE stock (sku text, place text, quantity int NOT NULL, PRIMARY KEY (sku, place));

-- Without a key: rows may be there several times.
CREATE TABLE visits (page text, n int, seen timestamp(3));
ALTER TABLE visits REPLICA IDENTITY FULL;

CREATE TABLE precise_types (
  id int PRIMARY KEY, yes boolean, small smallint, num int, big bigint, single real, "double" double precision,
  amount numeric(20,4), exact numeric, txt text, short varchar(12), bin bytea, day date, clock time, at timestamp,
  at3 timestamp(3), atz timestamptz, uid uuid, doc jsonb);

CREATE TABLE text_types (LIKE precise_types INCLUDING ALL);

-- One for each connector: what was committed before a mark is told before it.
CREATE TABLE marks_a (id int PRIMARY KEY, n bigint);
CREATE TABLE marks_b (id int PRIMARY KEY, n bigint);

CREATE SCHEMA target;
