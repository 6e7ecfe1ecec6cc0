"""The one place that picks implementations: puts a whole controller together from a data folder."""
