-- What Millstream runs: tables over Debezium's topics, queries over them, and where the answers go.
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, region text)
  WITH (connector = 'kafka', topic = 'shop.public.customers', format = 'json', envelope = 'debezium', partitions = 1);

CREATE TABLE orders (
  id int PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL, amount numeric(12,2) NOT NULL,
  placed_at timestamptz NOT NULL)
  WITH (connector = 'kafka', topic = 'shop.public.orders', format = 'json', envelope = 'debezium', partitions = 1);

CREATE TABLE clicks (page text NOT NULL, at timestamptz NOT NULL)
  WITH (connector = 'kafka', topic = 'shop.public.clicks', format = 'json', envelope = 'debezium', partitions = 1,
        replica_identity = 'full');

CREATE STREAM TABLE revenue AS
  SELECT c.region, count(*) AS orders, sum(o.amount) AS revenue
  FROM orders o JOIN customers c ON o.customer_id = c.id
  WHERE o.status <> 'cancelled'
  GROUP BY c.region;

CREATE STREAM TABLE pages AS
  SELECT page, count(*) AS clicks, max(at) AS last_at FROM clicks GROUP BY page;

CREATE SINK revenue_topic FROM revenue
  WITH (connector = 'kafka', topic = 'shop.revenue', format = 'json', envelope = 'upsert');

CREATE SINK pages_table FROM pages
  WITH (connector = 'postgres', url = 'postgres://shop:shop@postgres:5432/shop', table = 'answers.pages');
