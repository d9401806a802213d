"""What leaves Plumbline: labels as CSV, Parquet or JSON lines, and the classifier as a folder."""
