//! Implementations that are correct but different.
