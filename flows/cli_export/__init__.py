"""Parquet files of what was decided, delivered, read and ordered, for whoever asks questions in SQL."""
