-- The shop of `millstream demo`: three tables as Debezium would send their changes, and what is kept up to date over them.

CREATE TABLE customers (
    id      integer PRIMARY KEY,
    name    text,
    country varchar(2),
    vip     boolean,
    since   timestamptz
) WITH (connector = 'log', topic = 'shop.public.customers', envelope = 'debezium', partitions = 1);

CREATE TABLE orders (
    id          bigint PRIMARY KEY,
    customer_id integer,
    status      text,
    ordered_at  timestamptz
) WITH (connector = 'log', topic = 'shop.public.orders', envelope = 'debezium', partitions = 2);

CREATE TABLE order_lines (
    order_id bigint,
    line     smallint,
    product  text,
    quantity integer,
    price    numeric(10,2),
    PRIMARY KEY (order_id, line)
) WITH (
    connector = 'log', topic = 'shop.public.order_lines', envelope = 'debezium', partitions = 3,
    decimal_handling_mode = 'string'
);

-- A join of all three.
CREATE STREAM TABLE sales AS
SELECT o.id AS order_id, l.line, c.name AS customer, c.country, l.product, l.quantity,
       l.quantity * l.price AS amount, o.status, o.ordered_at
FROM order_lines l
JOIN orders o ON o.id = l.order_id
JOIN customers c ON c.id = o.customer_id
WHERE o.status <> 'cancelled';

-- An aggregate over the join.
CREATE STREAM TABLE country_revenue AS
SELECT country, count(*) AS lines, sum(quantity) AS items, sum(amount) AS revenue, max(amount) AS largest
FROM sales
GROUP BY country;

-- The top list: products that bring in most.
CREATE STREAM TABLE top_products AS
SELECT product, sum(quantity) AS sold, sum(amount) AS revenue, avg(amount) AS average
FROM sales
GROUP BY product
HAVING sum(amount) > 10000.00;

CREATE SINK revenue_changes FROM country_revenue
WITH (connector = 'log', topic = 'demo.country_revenue', envelope = 'debezium');

CREATE SINK top_products_latest FROM top_products
WITH (connector = 'log', topic = 'demo.top_products', envelope = 'upsert');
