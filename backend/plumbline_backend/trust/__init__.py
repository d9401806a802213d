"""Whether a judge can be taken at its word: outside predictions, calibration, slices, diagnostics."""
