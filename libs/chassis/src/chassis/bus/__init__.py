"""The message bus: one port, two adapters, and the dispatch of deliveries."""
