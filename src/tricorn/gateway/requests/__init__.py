"""A request to a model on its way: lease, start, events, release."""
