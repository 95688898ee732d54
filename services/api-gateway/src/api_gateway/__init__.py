"""The REST API: parses, records wishes, answers from a projection."""
