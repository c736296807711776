"""How Tricorn starts, reloads and ends."""
