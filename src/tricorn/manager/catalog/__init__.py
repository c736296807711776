"""Which models there are: found on disk and in the settings."""
