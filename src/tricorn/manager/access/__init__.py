"""Keys and limits, as the manager holds to them."""
