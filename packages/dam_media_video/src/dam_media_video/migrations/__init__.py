"""Revisions of the tables of this package: ``NNNN_what.py``, in one line."""
