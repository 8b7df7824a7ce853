-- A small shop. Debezium tells its changes; Millstream's answers come back into the schema "answers".
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, region text);

CREATE TABLE orders (
  id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, status text NOT NULL, amount numeric(12,2) NOT NULL,
  placed_at timestamptz NOT NULL DEFAULT now());

-- No key, so the log must carry whole rows.
CREATE TABLE clicks (page text NOT NULL, at timestamptz NOT NULL DEFAULT now());
ALTER TABLE clicks REPLICA IDENTITY FULL;

CREATE SCHEMA answers;

INSERT INTO customers VALUES (1, 'Ann', 'north'), (2, 'Bo', 'south'), (3, 'Cy', 'north');
INSERT INTO orders (id, customer_id, status, amount) VALUES
  (1, 1, 'paid', 12.50), (2, 1, 'new', 99.00), (3, 2, 'paid', 7.25), (4, 3, 'cancelled', 1000.00);
INSERT INTO clicks (page) VALUES ('/'), ('/'), ('/shop');
