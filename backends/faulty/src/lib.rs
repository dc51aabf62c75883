//! Batch normalization with one named mistake at a time.
