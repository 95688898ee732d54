"""The document store: one port, one adapter."""
