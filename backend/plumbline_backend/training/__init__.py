"""How a training treats its labels: what is doubted, whose shares are learned from, which column must not matter."""
