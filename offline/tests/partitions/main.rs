//! Commands over partitions on disk, held against all tables in memory: not one byte may differ, whatever the number of partitions
//! and threads, and wherever one was interrupted.

mod build;
mod learn;
mod world;
