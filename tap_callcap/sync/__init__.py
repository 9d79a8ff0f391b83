"""From bookmark to bookmark: which calls are read, and how they are proven complete."""
