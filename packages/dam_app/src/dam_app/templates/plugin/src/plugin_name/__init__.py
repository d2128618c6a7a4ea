"""Labels for the assets of dam."""
