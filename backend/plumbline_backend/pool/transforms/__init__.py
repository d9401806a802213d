"""From columns to features. One file per transform, one line each in the registry."""
