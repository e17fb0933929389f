//! That each invariant can fail.
