-- Variances, covariances and regressions: exact for integers and numeric, sound for floats.

CREATE TABLE spreads (
  id int PRIMARY KEY, part text, small smallint, whole int, large bigint, fixed numeric(12,3), free numeric, f4 real, f8 float8
);
INSERT INTO spreads VALUES (1, 'one', 7, 7, 7, 7.5, 7.25, 7.5, 7.5);
INSERT INTO spreads VALUES (2, 'few', 1, 10, 9007199254740993, 0.001, 1.10, 0.5, 0.1);
INSERT INTO spreads VALUES (3, 'few', 2, 20, -9007199254740993, 12345.678, 1.1, 1.5, 0.2);
INSERT INTO spreads VALUES (4, 'few', NULL, 30, 3, 99999999.999, 22.0000, 2.5, 0.4);
INSERT INTO spreads VALUES (5, 'same', 5, 5, 5, 5, 5.00, 5, 5);
INSERT INTO spreads VALUES (6, 'same', 5, 5, 5, 5, 5.0, 5, 5);
INSERT INTO spreads VALUES (7, 'same', 5, 5, 5, 5, 5, 5, 5);
INSERT INTO spreads VALUES (8, 'same', 5, 5, 5, 5, 5, 5, 5);
INSERT INTO spreads VALUES (9, 'odd', 1, 1, 1, 1, 'NaN', 'NaN', 'NaN');
INSERT INTO spreads VALUES (10, 'odd', 2, 2, 2, 2, 2, 2, 2);
INSERT INTO spreads VALUES (11, 'odd', 3, 4, 8, 3, 3, 3, 3);
INSERT INTO spreads VALUES (12, 'inf', 1, 1, 1, 1, 1, 'Infinity', 1);
INSERT INTO spreads VALUES (13, 'inf', 1, 2, 1, 1, 1, 1, '-Infinity');
INSERT INTO spreads VALUES (14, 'none', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO spreads VALUES (15, 'none', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO spreads VALUES (101, 'many', 1, 856, 123456789, 989.875, 0.3333333333, 0.14286, 1000001.25);
INSERT INTO spreads VALUES (102, 'many', 2, 703, 246913578, 1979.75, 1.3333333333, 0.28571, 1000002.50);
INSERT INTO spreads VALUES (103, 'many', 3, 550, 370370367, 2969.625, 3.0000000000, 0.42857, 1000003.75);
INSERT INTO spreads VALUES (104, 'many', 4, 397, 493827156, 3959.5, 5.3333333333, 0.57143, 1000005.00);
INSERT INTO spreads VALUES (105, 'many', 5, 244, 617283945, 4949.375, 8.3333333333, 0.71429, 1000006.25);
INSERT INTO spreads VALUES (106, 'many', 6, 91, 740740734, 5939.25, 12.0000000000, 0.85714, 1000007.50);
INSERT INTO spreads VALUES (107, 'many', 7, 947, 864197523, 6929.125, 16.3333333333, 1.00000, 1000008.75);
INSERT INTO spreads VALUES (108, 'many', 8, 794, 987654312, 7919, 21.3333333333, 1.14286, 1000010.00);
INSERT INTO spreads VALUES (109, 'many', 9, 641, 1111111101, 8908.875, 27.0000000000, 1.28571, 1000011.25);
INSERT INTO spreads VALUES (110, 'many', 10, 488, 1234567890, 9898.75, 33.3333333333, 1.42857, 1000012.50);
INSERT INTO spreads VALUES (111, 'many', 11, 335, 1358024679, 10888.625, 40.3333333333, 1.57143, 1000013.75);
INSERT INTO spreads VALUES (112, 'many', 12, 182, 1481481468, 11878.5, 48.0000000000, 1.71429, 1000015.00);
INSERT INTO spreads VALUES (113, 'many', 13, 29, 1604938257, 368, 56.3333333333, 1.85714, 1000016.25);
INSERT INTO spreads VALUES (114, 'many', 14, 885, 1728395046, 1357.875, 65.3333333333, 2.00000, 1000017.50);
INSERT INTO spreads VALUES (115, 'many', 15, 732, 1851851835, 2347.75, 75.0000000000, 2.14286, 1000018.75);
INSERT INTO spreads VALUES (116, 'many', 16, 579, 1975308624, 3337.625, 85.3333333333, 2.28571, 1000020.00);
INSERT INTO spreads VALUES (117, 'many', 17, 426, 2098765413, 4327.5, 96.3333333333, 2.42857, 1000021.25);
INSERT INTO spreads VALUES (118, 'many', 18, 273, 2222222202, 5317.375, 108.0000000000, 2.57143, 1000022.50);
INSERT INTO spreads VALUES (119, 'many', 19, 120, 2345678991, 6307.25, 120.3333333333, 2.71429, 1000023.75);
INSERT INTO spreads VALUES (120, 'many', 20, 976, 2469135780, 7297.125, 133.3333333333, 2.85714, 1000025.00);
INSERT INTO spreads VALUES (121, 'many', 21, 823, 2592592569, 8287, 147.0000000000, 3.00000, 1000026.25);
INSERT INTO spreads VALUES (122, 'many', 22, 670, 2716049358, 9276.875, 161.3333333333, 3.14286, 1000027.50);
INSERT INTO spreads VALUES (123, 'many', 23, 517, 2839506147, 10266.75, 176.3333333333, 3.28571, 1000028.75);
INSERT INTO spreads VALUES (124, 'many', 24, 364, 2962962936, 11256.625, 192.0000000000, 3.42857, 1000030.00);
INSERT INTO spreads VALUES (125, 'many', 25, 211, 3086419725, 12246.5, 208.3333333333, 3.57143, 1000031.25);
INSERT INTO spreads VALUES (126, 'many', 26, 58, 3209876514, 736, 225.3333333333, 3.71429, 1000032.50);
INSERT INTO spreads VALUES (127, 'many', 27, 914, 3333333303, 1725.875, 243.0000000000, 3.85714, 1000033.75);
INSERT INTO spreads VALUES (128, 'many', 28, 761, 3456790092, 2715.75, 261.3333333333, 4.00000, 1000035.00);
INSERT INTO spreads VALUES (129, 'many', 29, 608, 3580246881, 3705.625, 280.3333333333, 4.14286, 1000036.25);
INSERT INTO spreads VALUES (130, 'many', 30, 455, 3703703670, 4695.5, 300.0000000000, 4.28571, 1000037.50);
INSERT INTO spreads VALUES (131, 'many', 31, 302, 3827160459, 5685.375, 320.3333333333, 4.42857, 1000038.75);
INSERT INTO spreads VALUES (132, 'many', 32, 149, 3950617248, 6675.25, 341.3333333333, 4.57143, 1000040.00);
INSERT INTO spreads VALUES (133, 'many', 33, 1005, 4074074037, 7665.125, 363.0000000000, 4.71429, 1000041.25);
INSERT INTO spreads VALUES (134, 'many', 34, 852, 4197530826, 8655, 385.3333333333, 4.85714, 1000042.50);
INSERT INTO spreads VALUES (135, 'many', 35, 699, 4320987615, 9644.875, 408.3333333333, 5.00000, 1000043.75);
INSERT INTO spreads VALUES (136, 'many', 36, 546, 4444444404, 10634.75, 432.0000000000, 5.14286, 1000045.00);
INSERT INTO spreads VALUES (137, 'many', 37, 393, 4567901193, 11624.625, 456.3333333333, 5.28571, 1000046.25);
INSERT INTO spreads VALUES (138, 'many', 38, 240, 4691357982, 114.125, 481.3333333333, 5.42857, 1000047.50);
INSERT INTO spreads VALUES (139, 'many', 39, 87, 4814814771, 1104, 507.0000000000, 5.57143, 1000048.75);
INSERT INTO spreads VALUES (140, 'many', 40, 943, 4938271560, 2093.875, 533.3333333333, 5.71429, 1000050.00);
INSERT INTO spreads VALUES (141, 'many', 41, 790, 5061728349, 3083.75, 560.3333333333, 5.85714, 1000051.25);
INSERT INTO spreads VALUES (142, 'many', 42, 637, 5185185138, 4073.625, 588.0000000000, 6.00000, 1000052.50);
INSERT INTO spreads VALUES (143, 'many', 43, 484, 5308641927, 5063.5, 616.3333333333, 6.14286, 1000053.75);
INSERT INTO spreads VALUES (144, 'many', 44, 331, 5432098716, 6053.375, 645.3333333333, 6.28571, 1000055.00);
INSERT INTO spreads VALUES (145, 'many', 45, 178, 5555555505, 7043.25, 675.0000000000, 6.42857, 1000056.25);
INSERT INTO spreads VALUES (146, 'many', 46, 25, 5679012294, 8033.125, 705.3333333333, 6.57143, 1000057.50);
INSERT INTO spreads VALUES (147, 'many', 47, 881, 5802469083, 9023, 736.3333333333, 6.71429, 1000058.75);
INSERT INTO spreads VALUES (148, 'many', 48, 728, 5925925872, 10012.875, 768.0000000000, 6.85714, 1000060.00);
INSERT INTO spreads VALUES (149, 'many', 49, 575, 6049382661, 11002.75, 800.3333333333, 7.00000, 1000061.25);
INSERT INTO spreads VALUES (150, 'many', 50, 422, 6172839450, 11992.625, 833.3333333333, 7.14286, 1000062.50);
INSERT INTO spreads VALUES (151, 'many', 51, 269, 6296296239, 482.125, 867.0000000000, 7.28571, 1000063.75);
INSERT INTO spreads VALUES (152, 'many', 52, 116, 6419753028, 1472, 901.3333333333, 7.42857, 1000065.00);
INSERT INTO spreads VALUES (153, 'many', 53, 972, 6543209817, 2461.875, 936.3333333333, 7.57143, 1000066.25);
INSERT INTO spreads VALUES (154, 'many', 54, 819, 6666666606, 3451.75, 972.0000000000, 7.71429, 1000067.50);
INSERT INTO spreads VALUES (155, 'many', 55, 666, 6790123395, 4441.625, 1008.3333333333, 7.85714, 1000068.75);
INSERT INTO spreads VALUES (156, 'many', 56, 513, 6913580184, 5431.5, 1045.3333333333, 8.00000, 1000070.00);
INSERT INTO spreads VALUES (157, 'many', 57, 360, 7037036973, 6421.375, 1083.0000000000, 8.14286, 1000071.25);
INSERT INTO spreads VALUES (158, 'many', 58, 207, 7160493762, 7411.25, 1121.3333333333, 8.28571, 1000072.50);
INSERT INTO spreads VALUES (159, 'many', 59, 54, 7283950551, 8401.125, 1160.3333333333, 8.42857, 1000073.75);
INSERT INTO spreads VALUES (160, 'many', 60, 910, 7407407340, 9391, 1200.0000000000, 8.57143, 1000075.00);
INSERT INTO spreads VALUES (161, 'many', 61, 757, 7530864129, 10380.875, 1240.3333333333, 8.71429, 1000076.25);
INSERT INTO spreads VALUES (162, 'many', 62, 604, 7654320918, 11370.75, 1281.3333333333, 8.85714, 1000077.50);
INSERT INTO spreads VALUES (163, 'many', 63, 451, 7777777707, 12360.625, 1323.0000000000, 9.00000, 1000078.75);
INSERT INTO spreads VALUES (164, 'many', 64, 298, 7901234496, 850.125, 1365.3333333333, 9.14286, 1000080.00);
INSERT INTO spreads VALUES (165, 'many', 65, 145, 8024691285, 1840, 1408.3333333333, 9.28571, 1000081.25);
INSERT INTO spreads VALUES (166, 'many', 66, 1001, 8148148074, 2829.875, 1452.0000000000, 9.42857, 1000082.50);
INSERT INTO spreads VALUES (167, 'many', 67, 848, 8271604863, 3819.75, 1496.3333333333, 9.57143, 1000083.75);
INSERT INTO spreads VALUES (168, 'many', 68, 695, 8395061652, 4809.625, 1541.3333333333, 9.71429, 1000085.00);
INSERT INTO spreads VALUES (169, 'many', 69, 542, 8518518441, 5799.5, 1587.0000000000, 9.85714, 1000086.25);
INSERT INTO spreads VALUES (170, 'many', 70, 389, 8641975230, 6789.375, 1633.3333333333, 10.00000, 1000087.50);
INSERT INTO spreads VALUES (171, 'many', 71, 236, 8765432019, 7779.25, 1680.3333333333, 10.14286, 1000088.75);
INSERT INTO spreads VALUES (172, 'many', 72, 83, 8888888808, 8769.125, 1728.0000000000, 10.28571, 1000090.00);
INSERT INTO spreads VALUES (173, 'many', 73, 939, 9012345597, 9759, 1776.3333333333, 10.42857, 1000091.25);
INSERT INTO spreads VALUES (174, 'many', 74, 786, 9135802386, 10748.875, 1825.3333333333, 10.57143, 1000092.50);
INSERT INTO spreads VALUES (175, 'many', 75, 633, 9259259175, 11738.75, 1875.0000000000, 10.71429, 1000093.75);
INSERT INTO spreads VALUES (176, 'many', 76, 480, 9382715964, 228.25, 1925.3333333333, 10.85714, 1000095.00);
INSERT INTO spreads VALUES (177, 'many', 77, 327, 9506172753, 1218.125, 1976.3333333333, 11.00000, 1000096.25);
INSERT INTO spreads VALUES (178, 'many', 78, 174, 9629629542, 2208, 2028.0000000000, 11.14286, 1000097.50);
INSERT INTO spreads VALUES (179, 'many', 79, 21, 9753086331, 3197.875, 2080.3333333333, 11.28571, 1000098.75);
INSERT INTO spreads VALUES (180, 'many', 80, 877, 9876543120, 4187.75, 2133.3333333333, 11.42857, 1000100.00);
INSERT INTO spreads VALUES (301, 'tiny', 1, 1, 1, 0.001, 1E-20, '1e-30', '1e-200');
INSERT INTO spreads VALUES (302, 'tiny', 1, 1, 1, 0.000, 2E-20, '1e-30', '2e-200');
INSERT INTO spreads VALUES (303, 'tiny', 1, 1, 1, 0.001, 3E-20, '1e-30', '3e-200');
INSERT INTO spreads VALUES (304, 'tiny', 1, 1, 1, 0.000, 4E-20, '1e-30', '4e-200');
INSERT INTO spreads VALUES (305, 'tiny', 1, 1, 1, 0.001, 5E-20, '1e-30', '5e-200');
INSERT INTO spreads VALUES (401, 'huge', 30001, 2000000001, 9000000000000000001, 999999998, 10000000000000000000000000000000000000001, 1000000000000001, 1000000001);
INSERT INTO spreads VALUES (402, 'huge', 30002, 2000000002, 9000000000000000002, 999999997, 10000000000000000000000000000000000000002, 1000000000000002, 1000000002);
INSERT INTO spreads VALUES (403, 'huge', 30003, 2000000003, 9000000000000000003, 999999996, 10000000000000000000000000000000000000003, 1000000000000003, 1000000003);
INSERT INTO spreads VALUES (404, 'huge', 30004, 2000000004, 9000000000000000004, 999999995, 10000000000000000000000000000000000000004, 1000000000000004, 1000000004);
INSERT INTO spreads VALUES (405, 'huge', 30005, 2000000005, 9000000000000000005, 999999994, 10000000000000000000000000000000000000005, 1000000000000005, 1000000005);

SELECT part, var_pop(small), var_samp(small), variance(small), stddev_pop(small), stddev_samp(small), stddev(small) FROM spreads GROUP BY part;
SELECT part, var_pop(whole), var_samp(whole), variance(whole), stddev_pop(whole), stddev_samp(whole), stddev(whole) FROM spreads GROUP BY part;
SELECT part, var_pop(large), var_samp(large), variance(large), stddev_pop(large), stddev_samp(large), stddev(large) FROM spreads GROUP BY part;
SELECT part, var_pop(fixed), var_samp(fixed), variance(fixed), stddev_pop(fixed), stddev_samp(fixed), stddev(fixed) FROM spreads GROUP BY part;
SELECT part, var_pop(free), var_samp(free), variance(free), stddev_pop(free), stddev_samp(free), stddev(free) FROM spreads GROUP BY part;
SELECT part, stddev(whole::numeric), stddev((fixed)::numeric(10,1)), variance(f8::int) FROM spreads WHERE part NOT IN ('odd', 'inf') GROUP BY part;
-- approximate
SELECT part, var_pop(f4), var_samp(f4), variance(f4), stddev_pop(f4), stddev_samp(f4), stddev(f4) FROM spreads WHERE part <> 'huge' GROUP BY part;
-- approximate
SELECT part, var_pop(f8), var_samp(f8), variance(f8), stddev_pop(f8), stddev_samp(f8), stddev(f8) FROM spreads GROUP BY part;
-- approximate
SELECT part, regr_count(f8, whole), regr_avgx(f8, whole), regr_avgy(f8, whole), regr_sxx(f8, whole), regr_syy(f8, whole), regr_sxy(f8, whole) FROM spreads GROUP BY part;
-- approximate
SELECT part, corr(f8, whole), covar_pop(f8, whole), covar_samp(f8, whole), regr_r2(f8, whole), regr_slope(f8, whole), regr_intercept(f8, whole) FROM spreads WHERE part NOT IN ('tiny', 'huge') GROUP BY part;
-- approximate
SELECT part, corr(fixed, free), covar_samp(small, large) FROM spreads WHERE part NOT IN ('odd', 'tiny') GROUP BY part;
-- Products that no float holds.
-- approximate
SELECT part, corr(f8, whole), covar_pop(f8, whole), regr_r2(f8, whole), regr_slope(f8, whole), regr_intercept(f8, whole) FROM spreads WHERE part IN ('tiny', 'huge') GROUP BY part;
-- approximate
SELECT part, corr(free, f4 * 1e-160), regr_r2(f8, f4), regr_intercept(f4, f8), regr_slope(f4, f8) FROM spreads WHERE part IN ('tiny', 'huge') GROUP BY part;
-- approximate
SELECT part, corr(f8 * 1e100, f8 * 2e100), regr_r2(f8 * 1e100, f8 * 2e100) FROM spreads WHERE part <> 'inf' GROUP BY part;
-- approximate
SELECT part, corr(f8 * 1e-100, f8 * 2e-100), regr_r2(f8 * 1e-100, f8 * 2e-100) FROM spreads GROUP BY part;
-- approximate
SELECT corr(f8 * 1e-150, f8 * 1e120), regr_sxy(f8 * 1e-165, f8 * 1e130), var_pop(f8 * 1e-160) FROM spreads WHERE part IN ('few', 'many');
-- approximate
SELECT part, regr_slope(f8 * 1e130, f8), regr_intercept(f8 * 1e130, f8 * 1e130), stddev(f8 * 1e140) FROM spreads WHERE part IN ('few', 'many') GROUP BY part;
BEGIN;
INSERT INTO spreads VALUES (500, 'new', 1, 1, 1, 1, 1, 1, 3e100);
-- approximate
SELECT corr(f8, f8 * 2), regr_r2(f8, f8 * 2) FROM spreads WHERE part IN ('new', 'few', 'one');
SELECT count(*) FROM spreads WHERE part = 'new';
ROLLBACK;
SELECT count(*) FROM spreads WHERE part = 'new';
-- Over all rows, over none, beside others, with conditions.
SELECT stddev(whole), variance(fixed), count(*), count(DISTINCT part), max(free) FROM spreads;
SELECT stddev(whole), var_pop(free) FROM spreads WHERE free < 100;
SELECT stddev(whole), variance(free), var_pop(f8), corr(f8, f4), regr_count(f8, f4) FROM spreads WHERE id < 0;
SELECT stddev(whole) FILTER (WHERE small > 3), var_pop(whole) FILTER (WHERE part = 'many'), regr_count(f8, f4) FILTER (WHERE id > 400) FROM spreads;
SELECT part, round(stddev(whole), 2) AS s FROM spreads GROUP BY part HAVING stddev(whole) > 2 ORDER BY stddev(whole) DESC NULLS LAST, part LIMIT 3;
SELECT part, CASE WHEN variance(whole) = 0 THEN 'same' ELSE 'other' END FROM spreads GROUP BY part ORDER BY variance(whole) NULLS FIRST, part;
SELECT stddev(DISTINCT whole), variance(DISTINCT small) FROM spreads;
SELECT part, stddev(whole) OVER (PARTITION BY part) FROM spreads ORDER BY id LIMIT 5;
SELECT DISTINCT stddev(small) FROM spreads GROUP BY whole;
-- The seventh number of a root of 13 digits is rounded once.
SELECT id % 40 AS k, stddev(whole), stddev_pop(large), stddev(fixed), stddev_pop(free) FROM spreads WHERE part = 'many' GROUP BY 1;
SELECT id % 7 AS k, stddev(whole * whole), stddev(id) FROM spreads WHERE part = 'many' GROUP BY 1;
-- params: 50
SELECT variance(whole), stddev(f8) IS NULL FROM spreads WHERE id > $1;
-- error 22003
SELECT var_pop(f8 * 1e300) FROM spreads;
-- Values of the key are on one shard each.
SELECT count(DISTINCT id), sum(DISTINCT id), avg(DISTINCT id), sum(DISTINCT s.id) FILTER (WHERE g > 1) FROM spreads s, generate_series(1, 3) g;
SELECT part, count(DISTINCT id), avg(DISTINCT id), avg(DISTINCT id) FILTER (WHERE small = 1) FROM spreads GROUP BY part;
