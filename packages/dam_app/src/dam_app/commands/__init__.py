"""The commands of ``dam-cli``, one module each."""
