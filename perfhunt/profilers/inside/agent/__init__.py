"""A directory for PYTHONPATH: what runs inside of a service is in `sitecustomize`."""
