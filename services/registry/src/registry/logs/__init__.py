"""Central logs: what services and agents send, as files per service."""
