"""The classifier as a folder that runs without Plumbline."""
