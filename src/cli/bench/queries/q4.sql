-- The average closing price of each category: the highest bid of each auction while it is open, and their average.
SELECT category, floor(avg(final))::bigint AS average
FROM (
    SELECT max(b.price) AS final, a.category
    FROM auction a
    JOIN bid b ON a.id = b.auction AND b."dateTime" BETWEEN a."dateTime" AND a.expires
    GROUP BY a.id, a.category
) AS closing
GROUP BY category
