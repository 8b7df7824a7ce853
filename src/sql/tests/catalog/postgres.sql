-- The tables of the recorded queries, in a PostgreSQL.
CREATE TABLE customers (id integer PRIMARY KEY, name varchar(20) NOT NULL, region text NOT NULL DEFAULT 'north', joined date,
  score double precision DEFAULT 1.5, CONSTRAINT customers_score_check CHECK (score > 0));
CREATE TABLE orders (id bigint, line smallint, customer integer, amount numeric(10,2), placed timestamp(3), seen timestamptz,
  note text, doc jsonb, ok boolean, ref uuid, raw bytea, due time, weight real, PRIMARY KEY (id, line));
CREATE TABLE "Mixed Case" ("Id" integer, "select" text);
CREATE MATERIALIZED VIEW totals AS SELECT region, count(*) AS n, max(score) AS best FROM customers GROUP BY region;
CREATE MATERIALIZED VIEW names AS SELECT id, name FROM customers;
CREATE FOREIGN DATA WRAPPER millstream;
CREATE SERVER kafka FOREIGN DATA WRAPPER millstream;
CREATE FOREIGN TABLE clicks (at timestamptz, customer integer, url text) SERVER kafka OPTIONS (topic 'clicks');
