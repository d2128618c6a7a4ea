"""Moving pictures for dam: size, frames, rate and duration of videos, and the sound in them."""
