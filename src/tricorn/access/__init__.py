"""Who may do what, and how much: keys, permissions, limits. Nothing here does I/O but `secret`."""
