//! What cases made by chance hardly find.

/// Faults that a hunt through 20,000 cases need not find, each with the reason.
pub const HARD_TO_HUNT: &[(&str, &str)] = &[(
    "rows-beyond-the-grid-not-written",
    "it takes 65,536 samples, and an input by chance has 2,000 elements",
)];
