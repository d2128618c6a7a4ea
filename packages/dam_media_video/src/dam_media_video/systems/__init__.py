"""What makes components of the facts about moving pictures."""
