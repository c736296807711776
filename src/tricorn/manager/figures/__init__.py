"""What is counted, measured and logged of the work."""
