//! Rows, fields, places and batches, without servers.
