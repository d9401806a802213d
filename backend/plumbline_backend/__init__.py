"""Items, judges, judgements and the loop that learns from them."""
