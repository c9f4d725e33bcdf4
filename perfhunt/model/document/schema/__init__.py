"""The JSON Schema of run.json, made from the types, with the meaning and unit of every key."""
