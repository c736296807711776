"""Orders to the manager, and requests pinned to one instance."""
