"""Fused loss and one-pass scoring for linear and cosine classification heads."""
