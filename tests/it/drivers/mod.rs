//! Drivers that people use, against a plain PostgreSQL and against Meridian: what works on one works on the other.

mod sqlx_driver;
mod tokio_driver;
