"""The typed client and the corral command."""
