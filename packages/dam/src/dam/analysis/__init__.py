"""Analyzers: pure functions of bytes, run in processes that can be killed. Imports nothing that a worker does not need."""
