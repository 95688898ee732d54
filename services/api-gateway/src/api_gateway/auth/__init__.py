"""Who may make which call: the permissions of the API, and their enforcement."""
