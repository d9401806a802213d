"""Criteria of a grading project: what is asked of every output, who graded what, and which output is asked next."""
