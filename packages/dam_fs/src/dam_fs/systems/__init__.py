"""Systems of the file plugin."""
