"""gunicorn and its sockets: how connections are served, and when the gateway ends."""
