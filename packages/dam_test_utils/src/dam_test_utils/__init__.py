"""Test helpers for authors of plugins; ``dam_test_utils.fixtures`` is a pytest plugin."""
