//! RocketSim v3 for `rlbot.sim`: many games, which are stepped together without the GIL and write into NumPy arrays.
//!
//! Arguments that are not valid raise a Python error before anything changes. If RocketSim panics, or a number of a
//! game is no longer finite, that game stops: its state is NaN, and `step` returns the reason, until it is placed or
//! restored. The other games continue.
//!
//! Only `python` uses Python. Without the feature of this name the crate has no users, but its tests run.

#![cfg_attr(not(feature = "python"), allow(dead_code))]

mod game;
mod layout;
#[cfg(feature = "python")]
mod python;
mod snapshot;
