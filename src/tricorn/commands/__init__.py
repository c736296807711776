"""What `tricorn` can do besides serving, one file a command."""
