-- Queries of the kind that tools and people send: information_schema, sizes, keys by hand. Not recorded. The oids are those of
-- the recorded files:
--   oid 16388 customers
--   oid 16396 customers_pkey
--   oid 16398 orders
--   oid 16410 totals

-- information_schema.tables
SELECT table_schema, table_name, table_type FROM information_schema.tables
WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type <> 'MATERIALIZED VIEW' ORDER BY table_name
;

-- information_schema.columns
SELECT column_name, ordinal_position, is_nullable, data_type, character_maximum_length, character_octet_length,
  numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision, udt_schema, udt_name, is_identity, is_generated
FROM information_schema.columns WHERE table_schema = 'public' AND table_name IN ('customers', 'orders', 'Mixed Case')
ORDER BY table_name, ordinal_position
;

-- information_schema keys
SELECT tc.constraint_name, tc.constraint_type, kcu.table_name, kcu.column_name, kcu.ordinal_position
FROM information_schema.table_constraints tc
  JOIN information_schema.key_column_usage kcu USING (constraint_schema, constraint_name)
WHERE tc.constraint_type = 'PRIMARY KEY' AND tc.table_schema = 'public' AND kcu.table_name IN ('customers', 'orders')
ORDER BY 3, 5
;

-- information_schema.schemata
SELECT schema_name FROM information_schema.schemata WHERE schema_name !~ '^pg_(toast|temp)' ORDER BY 1
;

-- information_schema.referential_constraints
SELECT count(*) FROM information_schema.referential_constraints
;

-- the columns of an index
SELECT i.relname AS index_name, a.attname AS column_name, ix.indisunique AND ix.indisprimary AS is_primary
FROM pg_class t, pg_class i, pg_index ix, pg_attribute a
WHERE t.oid = ix.indrelid AND i.oid = ix.indexrelid AND a.attrelid = t.oid AND a.attnum = ANY(ix.indkey)
  AND t.relkind = 'r' AND t.relname = 'orders' ORDER BY t.relname, i.relname, a.attnum
;

-- the place of each column in an index
SELECT ix.indkey, ix.indkey[0], k.attnum, k.n
FROM pg_index ix, LATERAL unnest(ix.indkey) WITH ORDINALITY AS k(attnum, n) WHERE ix.indrelid = 'orders'::regclass ORDER BY k.n
;

-- pg_tables and pg_matviews
SELECT schemaname, tablename, hasindexes FROM pg_tables WHERE schemaname = 'public'
UNION ALL SELECT schemaname, matviewname, ispopulated FROM pg_matviews ORDER BY tablename
;

-- pg_indexes
SELECT tablename, indexname, indexdef FROM pg_catalog.pg_indexes WHERE tablename IN ('customers', 'orders') ORDER BY 1
;

-- constraints by column numbers
SELECT conname, contype, conkey, conrelid::regclass, connamespace::regnamespace FROM pg_constraint WHERE contype = 'p'
  AND conrelid = ANY('{16388,16398}'::oid[]) ORDER BY conname
;

-- names and oids
SELECT 'customers'::regclass::oid = 16388, 16388::regclass, 'pg_catalog.pg_class'::regclass::oid, 'int4'::regtype,
  23::regtype::text, to_regclass('public."Mixed Case"'), to_regclass('nothere'), to_regtype('text[]'), pg_typeof(1::bigint)
;

-- the types of columns
SELECT a.attname, t.typname, a.atttypid::regtype, format_type(a.atttypid, a.atttypmod), a.attlen, a.atttypmod, a.attnum
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = 'public.orders'::regclass AND a.attnum > 0
ORDER BY a.attnum
;

-- groups
SELECT n.nspname, c.relkind, count(*) AS relations, string_agg(c.relname, ', ' ORDER BY c.relname DESC) AS names, min(c.relname),
  array_agg(c.relname ORDER BY c.relname), bool_or(c.relhasindex)
FROM pg_class c JOIN pg_namespace n ON c.relnamespace = n.oid WHERE n.nspname = 'public' AND c.relkind IN ('r', 'f')
GROUP BY n.nspname, c.relkind HAVING count(*) > 0 ORDER BY 1, 2 DESC
;

-- outer joins
SELECT c.relname, i.indexrelid::regclass, d.description FROM pg_index i
  RIGHT JOIN pg_class c ON i.indrelid = c.oid AND i.indisprimary LEFT JOIN pg_description d ON d.objoid = c.oid
WHERE c.relname IN ('customers', 'orders', 'Mixed Case') ORDER BY c.relname DESC
;

-- a full join
SELECT a.n, b.n FROM (VALUES (1), (2), (3)) AS a(n) FULL JOIN (SELECT typlen::int FROM pg_type WHERE typname IN ('int4', 'int2')) AS b(n)
  ON a.n = b.n ORDER BY 1, 2
;

-- NOT IN, NOT EXISTS, ALL
SELECT relname FROM pg_class c WHERE relnamespace = 2200 AND relkind NOT IN ('m', 'i')
  AND oid NOT IN (SELECT indrelid FROM pg_index) AND NOT EXISTS (SELECT FROM pg_attrdef d WHERE d.adrelid = c.oid)
  AND relnatts >= ALL (SELECT 1 UNION SELECT 2) ORDER BY relname
;

-- WITH
WITH tables AS (SELECT oid, relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace),
  counted(name, columns) AS (SELECT t.relname, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = t.oid AND attnum > 0) FROM tables t)
SELECT name, columns, rank() OVER (ORDER BY columns DESC), CAST(sum(columns) OVER () AS bigint) FROM counted ORDER BY name
;

-- DISTINCT, EXCEPT, OFFSET
(SELECT DISTINCT relkind FROM pg_class WHERE relnamespace = 2200 AND relkind <> 'i' EXCEPT SELECT 'm') ORDER BY 1 DESC LIMIT 1 OFFSET 1
;

-- NULLs and conditions
SELECT NULL = 1, NULL IS NULL, 1 IS DISTINCT FROM NULL, coalesce(NULL, 'a'), nullif(1, 1), greatest(1, NULL, 3), 1 IN (2, NULL),
  NOT (1 = ANY ('{}'::int[])), CASE WHEN NULL THEN 1 ELSE 2 END, CASE 'r'::"char" WHEN 'r' THEN 'table' END FROM pg_am WHERE amname = 'btree'
;

-- IS DISTINCT FROM binds closer than AND and OR
SELECT relname, relname IS DISTINCT FROM 'orders' AND relkind = 'r', NULL IS NOT DISTINCT FROM relname OR relkind = 'f' FROM pg_class
WHERE relnamespace = 2200 AND relname IS DISTINCT FROM 'customers' AND relkind IN ('r', 'f') ORDER BY relname
;

-- a NULL joins nothing
SELECT a.n, b.n FROM (VALUES (1), (NULL)) AS a(n) JOIN (VALUES (1), (NULL)) AS b(n) ON a.n = b.n, pg_am WHERE amname = 'btree'
;

-- a condition on the right of a LEFT JOIN is asked behind it
SELECT c.relname FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid WHERE i.indexrelid IS NULL AND c.relnamespace = 2200
  AND c.relkind IN ('r', 'f') ORDER BY 1
;

-- texts
SELECT quote_ident('select'), quote_ident('plain'), quote_ident('Mixed Case'), quote_literal('it''s'), format('%s of %I: %L', 'a', 'B c', NULL),
  array_to_string(ARRAY['a', NULL, 'c'], ','), array_to_string('{a,NULL}'::text[], '-', '?'), split_part('a.b.c', '.', 2), concat('a', NULL, 1),
  trim(both '"' from '"x"'), substring('catalog' from 2 for 3), position('a' in 'catalog'), upper('x') || 1, left('abc', -1), right('abc', 2)
FROM pg_am WHERE amname = 'btree'
;

-- arrays
SELECT current_schemas(true), (current_schemas(true))[1], array_length(ARRAY[1, 2], 1), array_upper('1 2'::int2vector, 1), '{a,"b c",NULL}'::text[],
  ARRAY(SELECT amname FROM pg_am WHERE amname IN ('btree', 'heap') ORDER BY 1), 'b' = ANY (ARRAY['a', 'b']), array_remove(ARRAY['a', 'b'], 'a'),
  array_position(ARRAY['x', 'y'], 'y'), cardinality('{}'::text[]), 'x'::text || ARRAY['y']
;

-- settings
SELECT name, setting, vartype FROM pg_settings WHERE name IN ('max_index_keys', 'server_encoding', 'standard_conforming_strings', 'search_path') ORDER BY name
;

-- refused: no such relation
-- ERROR 42P01
SELECT * FROM pg_catalog.pg_nothing
;

-- refused: no such column
-- ERROR 42703
SELECT c.nothing FROM pg_class c
;

-- refused: ambiguous
-- ERROR 42702
SELECT oid FROM pg_class, pg_namespace
;

-- refused: no such function
-- ERROR 42883
SELECT pg_catalog.nothing(1)
;

-- refused: not an oid
-- ERROR 22P02
SELECT relname FROM pg_class WHERE oid = 'x'
;

-- refused: no such type
-- ERROR 42704
SELECT 'x'::regtype
;

-- refused: two rows
-- ERROR 21000
SELECT (SELECT oid FROM pg_class WHERE relnamespace = 2200)
;

-- refused: an aggregate in WHERE
-- ERROR 42803
SELECT oid FROM pg_class WHERE count(*) > 1
;

-- refused: types that do not meet
-- ERROR 42883
SELECT oid FROM pg_class WHERE relname = oid
;

-- refused: no such setting
-- ERROR 42704
SELECT current_setting('nothing.at_all')
;
