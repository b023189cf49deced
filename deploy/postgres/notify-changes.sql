-- Makes a table tell heatsink's invalidator which of its rows change. For PostgreSQL 11 and later; may be run again,
-- also with other columns or another channel.
--
--   psql "$DATABASE_URL" -v table=products -v channel=product_changes -v columns=store_id,product_id \
--     -f notify-changes.sql
--
--   table    the table, with its schema if need be, quoted as in SQL: shop."Products"
--   channel  what `heatsink invalidator --channel` is given
--   columns  those that the templates of keys name, separated by commas, as they are in the table and without spaces
--
-- Each row that is inserted, updated or deleted is told as JSON, when its transaction commits:
--   {"store_id": 7, "product_id": 4711}
-- An update that changes one of the columns also tells what they were before; one that changes nothing tells nothing.
-- TRUNCATE, and a row whose columns do not fit into a notification, which has less than 8000 bytes, ask for a sweep of
-- everything instead: {"heatsink": "sweep"}.
--
-- PostgreSQL sends equal notifications of one transaction once: with columns=store_id an update of all products of a
-- store is one notification. So name no more columns than the keys are made of.
--
-- To undo it:
--   DROP TRIGGER heatsink_notify_changes ON products;
--   DROP TRIGGER heatsink_notify_truncate ON products;

\set ON_ERROR_STOP on
\if :{?table} \else
  \set missing 'table'
\endif
\if :{?channel} \else
  \set missing 'channel'
\endif
\if :{?columns} \else
  \set missing 'columns'
\endif
\if :{?missing}
  \warn 'name what is changed: -v table=products -v channel=product_changes -v columns=store_id,product_id'
  DO $$ BEGIN RAISE EXCEPTION 'a variable is missing'; END $$;
\endif

-- A column that the table does not have would be left out of what is told.
SELECT format('DO $do$ BEGIN RAISE EXCEPTION %L; END $do$', 'there is no column ' || name || ' in ' || :'table')
FROM unnest(string_to_array(:'columns', ',')) AS name
WHERE NOT EXISTS (
  SELECT FROM pg_attribute
  WHERE attrelid = :'table'::regclass AND attname = name AND attnum > 0 AND NOT attisdropped
) \gexec

BEGIN;

-- One function for all tables; a trigger's arguments are the channel and the columns.
CREATE OR REPLACE FUNCTION heatsink_notify_changes() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $function$
DECLARE
  columns text[] := string_to_array(TG_ARGV[1], ',');
  before text;
  after text;
  everything CONSTANT text := '{"heatsink": "sweep"}';
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM pg_notify(TG_ARGV[0], everything);
    RETURN NULL;
  END IF;
  -- Compared as they are stored: not every type has an equality.
  IF TG_OP = 'UPDATE' AND OLD *= NEW THEN
    RETURN NULL;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    SELECT jsonb_object_agg(key, value)::text INTO after
    FROM jsonb_each(to_jsonb(NEW)) WHERE key = ANY (columns);
    PERFORM pg_notify(TG_ARGV[0], CASE WHEN octet_length(after) < 8000 THEN after ELSE everything END);
  END IF;
  IF TG_OP <> 'INSERT' THEN
    SELECT jsonb_object_agg(key, value)::text INTO before
    FROM jsonb_each(to_jsonb(OLD)) WHERE key = ANY (columns);
    IF before IS DISTINCT FROM after THEN
      PERFORM pg_notify(TG_ARGV[0], CASE WHEN octet_length(before) < 8000 THEN before ELSE everything END);
    END IF;
  END IF;
  RETURN NULL;
END
$function$;

DROP TRIGGER IF EXISTS heatsink_notify_changes ON :table;
CREATE TRIGGER heatsink_notify_changes AFTER INSERT OR UPDATE OR DELETE ON :table
  FOR EACH ROW EXECUTE FUNCTION heatsink_notify_changes(:'channel', :'columns');

DROP TRIGGER IF EXISTS heatsink_notify_truncate ON :table;
CREATE TRIGGER heatsink_notify_truncate AFTER TRUNCATE ON :table
  FOR EACH STATEMENT EXECUTE FUNCTION heatsink_notify_changes(:'channel', :'columns');

COMMIT;
