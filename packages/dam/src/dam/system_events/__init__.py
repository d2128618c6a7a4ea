"""What a running system tells, or asks, its caller."""
