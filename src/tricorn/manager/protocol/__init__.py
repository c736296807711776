"""Messages on the manager's control socket."""
