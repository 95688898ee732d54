"""Owns instances and nodes: decides which node runs which VM."""
