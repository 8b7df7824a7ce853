-- The highest bids of each ten seconds: a maximum of each window, joined back to the bids.
SELECT b.auction, b.price, b.bidder, b."dateTime", b.extra
FROM bid b
JOIN (
    SELECT max(price) AS highest, "dateTime" / 10000 AS seconds
    FROM bid
    GROUP BY "dateTime" / 10000
) AS m ON b.price = m.highest AND b."dateTime" / 10000 = m.seconds
