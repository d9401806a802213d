"""Whether the labels can be trusted: likely errors, duplicates, conflicts, balance."""
