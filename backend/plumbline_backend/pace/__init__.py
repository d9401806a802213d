"""Self-paced pseudo-labels: which items the model may teach itself with, and how fast that may grow."""
