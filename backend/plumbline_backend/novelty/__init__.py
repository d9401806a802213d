"""What the model finds unclear: candidates for classes that nobody has named yet."""
