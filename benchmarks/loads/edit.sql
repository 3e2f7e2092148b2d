\set first random(1, 100)
\set second 1 + (:first + random(0, 98)) % 100
\set qty random(1, 1000)
BEGIN;
UPDATE hot SET qty = :qty WHERE id = :first;
UPDATE hot SET qty = :qty WHERE id = :second;
COMMIT;
