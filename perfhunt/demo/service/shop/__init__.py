"""A small shop: a catalogue in SQLite, pages rendered on the server, stock levels asked of a
warehouse.
"""
