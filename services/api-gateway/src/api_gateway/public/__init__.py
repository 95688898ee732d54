"""The public JSON: the only place that knows the wire's quirks."""
