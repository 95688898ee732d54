"""The OCI Distribution API 1.1 over HTTP, under ``/v2/``."""
