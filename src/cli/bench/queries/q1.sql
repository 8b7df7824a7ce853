-- Bids, with an expression.
SELECT auction, bidder, price * 908 AS price, "dateTime", extra
FROM bid
