//! From the schema of 2013 to ours.
