"""One file per schema change. A file is never edited after its release."""
