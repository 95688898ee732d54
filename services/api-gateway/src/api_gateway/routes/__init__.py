"""The public API, one module per noun; each gives its part of the table of routes."""
