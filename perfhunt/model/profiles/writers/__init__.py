"""Profiles written for tools of others: one module a format."""
