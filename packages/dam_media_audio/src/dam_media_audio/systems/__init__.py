"""What makes components of the facts about sound."""
