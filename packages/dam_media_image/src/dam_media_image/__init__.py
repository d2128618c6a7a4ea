"""Pictures: sizes, camera facts, perceptual hashes and likeness."""
