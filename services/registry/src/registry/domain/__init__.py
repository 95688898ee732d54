"""What a template is and how it changes; no I/O."""
