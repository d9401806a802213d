"""Kinds of question: choice, multi-label, ... Each is one file and one line of registry.KINDS."""
