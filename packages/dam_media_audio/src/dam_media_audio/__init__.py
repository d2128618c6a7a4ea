"""Sound for dam: codec, duration, sample rate, channels and tags of audio files."""
