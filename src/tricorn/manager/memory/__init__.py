"""What models take of memory: estimated, reserved, measured."""
