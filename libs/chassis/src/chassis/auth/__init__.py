"""Who asks, and what they may. Gateway and registry do it alike, each with its own keys."""
