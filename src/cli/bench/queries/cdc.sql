-- Orders of each region and status, counted and summed, from the changes of orders and of customers.
SELECT c.region, o.status, count(*) AS orders, sum(o.amount) AS amount
FROM orders o
JOIN customers c ON o.customer_id = c.id
GROUP BY c.region, o.status
