-- How the files here were asked of a PostgreSQL 15, with psql -XAtF TAB. A test compares them with the one it runs against.

-- relations.tsv: the columns of every system relation; a domain is its base type.
select c.oid, n.nspname, c.relname, c.relkind,
       string_agg(a.attname || ':' || coalesce(nullif(t.typbasetype, 0), a.atttypid) || case when a.attnotnull then '!' else '' end,
                  ' ' order by attnum)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
where n.nspname in ('pg_catalog', 'information_schema') and c.relkind in ('r', 'v')
group by 1, 2, 3, 4 order by 2 desc, 3;

-- types.tsv: the types that are not a relation's rows.
select oid, typname, typlen, typbyval, typtype, typcategory, typispreferred, typdelim, typelem, typarray, typalign,
       typstorage, typbasetype, typtypmod, typcollation, typinput::oid, typoutput::oid, typreceive::oid, typsend::oid,
       format_type(oid, null)
from pg_type t
where typrelid = 0 and oid < 13000 and not exists (select 1 from pg_type e where e.oid = t.typelem and e.typrelid <> 0)
order by 1;

-- procs.tsv: the functions that read and write them.
select oid, proname, prorettype, proargtypes from pg_proc
where oid in (select unnest(array[typinput, typoutput, typreceive, typsend]::oid[]) from pg_type) order by 1;

-- keywords.tsv
select word, catcode from pg_get_keywords() order by 1;
