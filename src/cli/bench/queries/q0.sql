-- Bids, passed through.
SELECT auction, bidder, price, "dateTime", extra
FROM bid
