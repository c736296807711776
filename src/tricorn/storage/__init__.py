"""What outlives a start: SQLite files in DATA_DIR, one for each kind of thing that is kept."""
