"""Files for dam: scanning, content-addressed storage, ingest."""
