//! Tables of cases for this room, one file per subject.

mod facts;
mod lexing;
mod printing;
mod rendering;
mod shaping;
mod values;
