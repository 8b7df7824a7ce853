-- Bids of each auction, counted.
SELECT auction, count(*) AS bids
FROM bid
GROUP BY auction
