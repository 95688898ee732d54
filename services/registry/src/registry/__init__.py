"""Owns templates: an OCI registry with the documented façade."""
