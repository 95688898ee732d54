"""Every service, MongoDB and one agent in one process."""
