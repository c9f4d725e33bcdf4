"""Profiles by themselves: read from files of any tool or from runs, written and drawn."""
