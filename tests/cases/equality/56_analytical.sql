-- Questions of decision support: four and more tables, joined off their keys, and several steps of aggregation.

-- what guests spend far from home, by the driver's region (joins of sharded, reference and single tables)
SELECT g.name, count(DISTINCT u.user_id) AS guests, count(*) AS rides, sum(r.price) AS total, round(avg(r.distance_km), 3) AS distance, sum(r.price - f.base - f.per_km * r.distance_km) AS above_fare
  FROM rides r JOIN users u ON u.user_id = r.user_id JOIN drivers d ON d.driver_id = r.driver_id JOIN regions g ON g.region_code = d.region JOIN fares f ON f.region = d.region
 WHERE r.status = 'completed' AND u.rating >= 2 AND d.availability <> 'offline'
 GROUP BY g.name HAVING count(*) > 1 ORDER BY total DESC NULLS LAST, g.name;

-- the best driver of those who drove the dearest ride of a status (a minimum tied to the row around it)
SELECT r.status, d.name, d.rating, u.name, g.name, r.price
  FROM rides r, drivers d, users u, regions g
 WHERE d.driver_id = r.driver_id AND u.user_id = r.user_id AND g.region_code = u.region
   AND r.price = (SELECT max(i.price) FROM rides i JOIN drivers e ON e.driver_id = i.driver_id WHERE i.status = r.status AND e.availability = d.availability)
   AND r.price > 45 AND d.rating >= (SELECT avg(e.rating) FROM drivers e WHERE e.region = d.region)
 ORDER BY r.status, r.price DESC, d.driver_id, r.ride_id LIMIT 50;

-- drivers who alone let their guests down: others who drove the same guest did not
SELECT d.name, g.name AS region, count(*) AS alone
  FROM drivers d JOIN rides r ON r.driver_id = d.driver_id JOIN users u ON u.user_id = r.user_id JOIN regions g ON g.region_code = d.region
 WHERE r.status = 'cancelled'
   AND EXISTS (SELECT FROM rides o WHERE o.user_id = r.user_id AND o.driver_id <> r.driver_id)
   AND NOT EXISTS (SELECT FROM rides o WHERE o.user_id = r.user_id AND o.driver_id <> r.driver_id AND o.status = 'cancelled')
   AND NOT EXISTS (SELECT FROM notes n WHERE n.region = u.region AND n.id > 39)
 GROUP BY d.driver_id, d.name, g.name ORDER BY alone DESC, d.name, d.driver_id LIMIT 40;

-- how many guests have so many rides (groups of groups, over an outer join)
SELECT n, guests, sum(guests) OVER (ORDER BY n DESC ROWS UNBOUNDED PRECEDING) AS at_least, spent, round(100.0 * guests / sum(guests) OVER (), 4) AS percent
  FROM (SELECT n, count(*) AS guests, sum(spent) AS spent
          FROM (SELECT u.user_id, count(r.ride_id) AS n, coalesce(sum(r.price), 0) AS spent
                  FROM users u LEFT JOIN (rides r JOIN drivers d ON d.driver_id = r.driver_id AND d.rating > 2 LEFT JOIN driver_locations l ON l.driver_id = d.driver_id) ON r.user_id = u.user_id AND r.status NOT IN ('cancelled')
                 GROUP BY u.user_id) per_guest
         GROUP BY n) per_number
 ORDER BY n;

-- a region's share of what is earned at each hour of a day (a ratio of sums, pivoted)
SELECT part, round(sum(CASE WHEN driver_region = 'eu-central' THEN price ELSE 0 END) / nullif(sum(price), 0), 6) AS share,
       sum(price) FILTER (WHERE driver_region = guest_region) AS at_home, count(*) FILTER (WHERE status = 'cancelled') AS gone,
       sum(CASE status WHEN 'completed' THEN 1 WHEN 'in_progress' THEN 1 ELSE 0 END) AS done
  FROM (SELECT extract(hour FROM r.timestamp)::int / 6 AS part, r.price, r.status, d.region AS driver_region, u.region AS guest_region
          FROM rides r JOIN drivers d USING (driver_id) JOIN users u USING (user_id) JOIN regions g ON g.region_code = u.region
         WHERE g.node_count > 0) x
 GROUP BY part ORDER BY part;

-- guests with more than their region's average guest, and a half more (a WITH list that is read twice)
WITH spent AS (SELECT u.user_id, u.name, u.region, d.availability, sum(r.price) AS total FROM users u JOIN rides r ON r.user_id = u.user_id JOIN drivers d ON d.driver_id = r.driver_id GROUP BY u.user_id, u.name, u.region, d.availability)
SELECT s.name, g.name AS region, s.availability, s.total
  FROM spent s JOIN regions g ON g.region_code = s.region
 WHERE s.total > 60 AND s.total > (SELECT avg(t.total) * 1.5 FROM spent t WHERE t.region = s.region AND t.availability = s.availability)
 ORDER BY s.total DESC, s.user_id, s.availability LIMIT 60;

-- the three drivers of each region who earn most, and what part of the region's sum that is (windows over aggregates)
SELECT region, place, name, total, part
  FROM (SELECT g.name AS region, d.name, d.driver_id, sum(r.price) AS total, rank() OVER w AS place,
               round(sum(r.price) / nullif(sum(sum(r.price)) OVER (PARTITION BY g.name), 0), 5) AS part,
               sum(r.price) - lag(sum(r.price)) OVER w AS behind
          FROM drivers d JOIN rides r ON r.driver_id = d.driver_id JOIN regions g ON g.region_code = d.region JOIN fares f ON f.region = r.region
         WHERE r.price > f.base GROUP BY g.name, d.name, d.driver_id
        WINDOW w AS (PARTITION BY g.name ORDER BY sum(r.price) DESC, d.driver_id)) x
 WHERE place <= 3 ORDER BY region, place, name;

-- pairs of regions with more rides between them than the average pair (HAVING with a subquery)
SELECT u.region AS guest, d.region AS driver, count(*) AS n, count(DISTINCT r.user_id) AS guests, max(l.updated_at) IS NOT NULL AS located
  FROM rides r JOIN users u ON u.user_id = r.user_id LEFT JOIN drivers d ON d.driver_id = r.driver_id LEFT JOIN driver_locations l ON l.driver_id = d.driver_id
 GROUP BY u.region, d.region
HAVING count(*) >= (SELECT avg(n) FROM (SELECT count(*) AS n FROM rides i JOIN users v ON v.user_id = i.user_id GROUP BY v.region, i.driver_id IS NULL) p) / 4
 ORDER BY n DESC, guest, driver NULLS LAST;

-- subtotals of status by availability and region (grouping sets over an outer join)
SELECT d.availability, r.status, grouping(d.availability, r.status) AS level, count(*) AS n, count(r.price) AS paid, sum(r.price * coalesce(f.per_km, 1)) AS weighed
  FROM drivers d LEFT JOIN rides r ON r.driver_id = d.driver_id LEFT JOIN fares f ON f.region = r.region LEFT JOIN users u ON u.user_id = r.user_id AND u.total_rides > 0
 WHERE d.rating > ALL (SELECT rating / 10 FROM users)
 GROUP BY GROUPING SETS ((d.availability, r.status), ROLLUP (d.availability), (r.status)) ORDER BY level, 1 NULLS FIRST, 2 NULLS FIRST, 4;

-- where guests, drivers and fares meet: parts of one report
SELECT 'guests' AS what, count(*)::numeric AS n FROM users u WHERE u.rating > (SELECT avg(rating) FROM users)
UNION ALL SELECT 'idle drivers', count(*) FROM drivers d WHERE NOT EXISTS (SELECT FROM rides r WHERE r.driver_id = d.driver_id)
UNION ALL SELECT 'earned', sum(r.price) FROM rides r JOIN users u USING (user_id) WHERE u.region = r.region
UNION ALL SELECT 'expected', sum(f.base + f.per_km * r.distance_km) FROM rides r JOIN fares f ON f.region = r.region
UNION ALL (SELECT 'dearest', price FROM rides WHERE price IS NOT NULL ORDER BY price DESC, ride_id LIMIT 1)
 ORDER BY what;
