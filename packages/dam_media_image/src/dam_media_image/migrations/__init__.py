"""Revisions of the picture plugin's tables."""
