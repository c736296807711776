"""Whose a request is, and what it may do."""
