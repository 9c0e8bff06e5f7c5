//! Tables of cases for this room, one file per subject.

mod lexing;
mod shaping;
mod values;
