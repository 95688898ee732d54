"""The documented ``/registry/*`` API, a façade over what the OCI registry holds."""
