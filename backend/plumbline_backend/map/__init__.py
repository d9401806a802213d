"""The pool in two dimensions: where items lie, what colours them, which are inside a line."""
