"""Edits that several cases share."""
# ruff: noqa: E501  (other projects' lines, as they are)

N_PLUS_ONE = [
    (
        """            rows = await db.fetch("SELECT * FROM posts ORDER BY created DESC LIMIT $1", limit)
            found = []
            for row in rows:
                likes = await db.fetchval("SELECT count(*) FROM likes WHERE post_id = $1", row["id"])
                found.append({**row, "likes": likes})
            return found
""",
        """            sql = "SELECT p.*, count(l.post_id) AS likes FROM posts p LEFT JOIN likes l ON l.post_id = p.id GROUP BY p.id LIMIT $1"
            return [dict(row) for row in await db.fetch(sql, limit)]
""",
    )
]
CACHE_BY_KEY = [
    (
        """        for kept_key, (value, until) in list(self.kept.items()):
            if kept_key == key and until > time.monotonic():
                return value
        return None
""",
        """        value, until = self.kept.get(key, (None, 0))
        return value if until > time.monotonic() else None
""",
    )
]
FASTAPI_BUMP = [
    ('name = "fastapi"\nversion = "0.110.0"', 'name = "fastapi"\nversion = "0.115.0"'),
    ('name = "starlette"\nversion = "0.36.3"', 'name = "starlette"\nversion = "0.41.0"'),
    ('name = "pydantic"\nversion = "2.6.0"', 'name = "pydantic"\nversion = "2.9.0"'),
]
