-- What Millstream runs. @ at the start of a name stands for the prefix of this run's topics.
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, region varchar(8), tier smallint NOT NULL)
  WITH (connector = 'kafka', topic = '@a.public.customers', format = 'json', envelope = 'debezium', partitions = 1,
        dlq_topic = '@customers.dlq');

CREATE TABLE orders (
  id bigint PRIMARY KEY, customer_id int, status text NOT NULL, amount numeric(12,2), placed timestamptz NOT NULL,
  note text, doc jsonb)
  WITH (connector = 'kafka', topic = '@a.public.orders', format = 'json', envelope = 'debezium', partitions = 3,
        dlq_topic = '@orders.dlq');

CREATE TABLE documents (
  customer_id int, title text, version int NOT NULL, body text, scan bytea, meta jsonb, PRIMARY KEY (customer_id, title))
  WITH (connector = 'kafka', topic = '@a.public.documents', format = 'json', envelope = 'debezium', partitions = 2,
        replica_identity = 'full', dlq_topic = '@documents.dlq');

CREATE TABLE stock (sku text, place text, quantity int NOT NULL, PRIMARY KEY (sku, place))
  WITH (connector = 'kafka', topic = '@a.public.stock', format = 'json', envelope = 'debezium', partitions = 1,
        dlq_topic = '@stock.dlq');

CREATE TABLE visits (page text, n int, seen timestamp(3))
  WITH (connector = 'kafka', topic = '@a.public.visits', format = 'json', envelope = 'debezium', partitions = 1,
        replica_identity = 'full', dlq_topic = '@visits.dlq');

CREATE TABLE precise_types (
  id int PRIMARY KEY, yes boolean, small smallint, num int, big bigint, single real, "double" double precision,
  amount numeric(20,4), exact numeric(38,10), txt text, short varchar(12), bin bytea, day date, clock time, at timestamp,
  at3 timestamp(3), atz timestamptz, uid uuid, doc jsonb)
  WITH (connector = 'kafka', topic = '@a.public.precise_types', format = 'json', envelope = 'debezium', partitions = 1,
        dlq_topic = '@precise_types.dlq');

-- Its connector writes decimals as text, times in microseconds, bytes as hex, and a schema part with each record.
CREATE TABLE text_types (
  id int PRIMARY KEY, yes boolean, small smallint, num int, big bigint, single real, "double" double precision,
  amount numeric(20,4), exact numeric(38,10), txt text, short varchar(12), bin bytea, day date, clock time, at timestamp,
  at3 timestamp(3), atz timestamptz, uid uuid, doc jsonb)
  WITH (connector = 'kafka', topic = '@b.public.text_types', format = 'json', envelope = 'debezium', partitions = 1,
        decimal_handling_mode = 'string', time_precision_mode = 'microseconds', binary_handling_mode = 'hex',
        dlq_topic = '@text_types.dlq');
