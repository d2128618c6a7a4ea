"""What the picture plugin does."""
