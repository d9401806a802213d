"""Label a data set whose answers are known, over and over, to see which strategy needs the fewest answers."""
