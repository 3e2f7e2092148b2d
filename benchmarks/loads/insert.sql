\set n :n + 1
\set id :base + :client_id * 1000000 + :n
\set customer 100 + :n % 900
\set qty 1 + :customer % 9
INSERT INTO bench (id, customer_id, qty, note)
VALUES (:id, :customer, :qty, 'a note of some forty characters, like this');
