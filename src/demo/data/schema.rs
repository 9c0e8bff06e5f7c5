//! The ride-sharing schema, one statement a string, in an order in which they can be run.
//!
//! | table | placement |
//! | --- | --- |
//! | `regions` | reference: the same rows on every shard |
//! | `users`, `drivers`, `rides` | by `region`; a driver's and a ride's position implies it |
//! | `driver_locations` | by `geo`: the position alone decides |
//!
//! Indexes are apart: they are made after a load, which is faster.
//!
//! Invariants:
//! 1. A table has the columns of the standing example, in its order; `data::Table::columns` names the same.

/// One statement for each table.
pub const TABLES: [&str; 5] = [
    "CREATE TABLE regions (
    region_id    uuid PRIMARY KEY,
    region_code  varchar(50) NOT NULL UNIQUE,
    name         varchar(255) NOT NULL,
    lat_min      double precision NOT NULL,
    lat_max      double precision NOT NULL,
    lon_min      double precision NOT NULL,
    lon_max      double precision NOT NULL,
    node_count   integer NOT NULL DEFAULT 1,
    primary_node varchar(255),
    created_at   timestamp NOT NULL DEFAULT now()
)",
    "CREATE TABLE users (
    user_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name        varchar(255) NOT NULL,
    email       varchar(255) NOT NULL,
    phone       varchar(255),
    latitude    double precision NOT NULL,
    longitude   double precision NOT NULL,
    region      varchar(50) NOT NULL,
    rating      numeric(3,2) NOT NULL DEFAULT 5.0,
    total_rides integer NOT NULL DEFAULT 0,
    created_at  timestamp NOT NULL DEFAULT now()
)",
    "CREATE TABLE drivers (
    driver_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name          varchar(255) NOT NULL,
    email         varchar(255) NOT NULL,
    phone         varchar(255),
    latitude      double precision NOT NULL,
    longitude     double precision NOT NULL,
    region        varchar(50) NOT NULL,
    geohash       varchar(12) NOT NULL,
    vehicle_info  jsonb,
    license_plate varchar(20) NOT NULL,
    availability  varchar(20) NOT NULL DEFAULT 'offline'
                  CHECK (availability IN ('available', 'busy', 'offline')),
    rating        numeric(3,2) NOT NULL DEFAULT 5.0,
    total_rides   integer NOT NULL DEFAULT 0,
    created_at    timestamp NOT NULL DEFAULT now()
)",
    "CREATE TABLE driver_locations (
    driver_id  uuid PRIMARY KEY,
    latitude   double precision NOT NULL,
    longitude  double precision NOT NULL,
    geohash    varchar(12) NOT NULL,
    updated_at timestamp NOT NULL DEFAULT now()
)",
    "CREATE TABLE rides (
    ride_id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id          uuid NOT NULL,
    driver_id        uuid,
    pickup_lat       double precision NOT NULL,
    pickup_lon       double precision NOT NULL,
    dropoff_lat      double precision NOT NULL,
    dropoff_lon      double precision NOT NULL,
    region           varchar(50) NOT NULL,
    pickup_geohash   varchar(12) NOT NULL,
    status           varchar(20) NOT NULL DEFAULT 'requested'
                     CHECK (status IN ('requested', 'accepted', 'in_progress', 'completed', 'cancelled')),
    price            numeric(10,2),
    distance_km      numeric(8,2),
    duration_minutes integer,
    timestamp        timestamp NOT NULL DEFAULT now()
)",
];

/// One statement for each index, to be run when the rows are there.
pub const INDEXES: [&str; 9] = [
    "CREATE INDEX users_region ON users (region)",
    "CREATE INDEX users_email ON users (email)",
    "CREATE INDEX drivers_availability ON drivers (region, availability)",
    "CREATE INDEX drivers_geohash ON drivers (geohash)",
    "CREATE INDEX driver_locations_geohash ON driver_locations (geohash)",
    "CREATE INDEX rides_status ON rides (region, status)",
    "CREATE INDEX rides_pickup_geohash ON rides (pickup_geohash)",
    "CREATE INDEX rides_user ON rides (user_id)",
    "CREATE INDEX rides_timestamp ON rides (\"timestamp\")",
];

/// Removes an unfinished or older load.
pub const DROP: &str = "DROP TABLE IF EXISTS rides, driver_locations, drivers, users, regions";
