//! Faults: nodes that are killed and promoted, clients that vanish or err. Each breaks servers of its own, if any.

mod behind;
mod clients;
mod copies;
mod hostile;
mod outage;
mod pipelines;
mod promotion;
mod replicas;
mod startup;
mod storm;
mod unasked;
