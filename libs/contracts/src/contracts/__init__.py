"""What crosses a process border: messages and stored documents, cut by conversation."""
