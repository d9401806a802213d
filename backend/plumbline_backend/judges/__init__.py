"""Judges of a grading project: kinds of validators, their verdicts, and how well they agree with the grades."""
