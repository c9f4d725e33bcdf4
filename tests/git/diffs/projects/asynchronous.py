"""Projects on other frameworks: a Django library and a FastAPI feed."""
# ruff: noqa: E501  (other projects' lines, as they are)

LIBRARY = {
    "manage.py": "import django\n",
    "library/settings.py": (
        """\
DEBUG = False
CONN_MAX_AGE = 0
INSTALLED_APPS = ["library.books"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
"""
    ),
    "library/books/models.py": (
        """\
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=200)


class Book(models.Model):
    title = models.CharField(max_length=200)
    isbn = models.CharField(max_length=13)
    author = models.ForeignKey(Author, on_delete=models.CASCADE)
    published = models.DateField(null=True)

    class Meta:
        ordering = ["title"]

    def label(self):
        return f"{self.title} ({self.author.name})"
"""
    ),
    "library/books/views.py": (
        """\
from django.http import JsonResponse
from django.views import View

from library.books.models import Author, Book
from library.books.serializers import author_json, book_json


class BookList(View):
    def get(self, request):
        books = self.get_queryset(request)
        return JsonResponse({"books": [book_json(book) for book in books]})

    def get_queryset(self, request):
        books = Book.objects.all()
        if "q" in request.GET:
            books = books.filter(title__icontains=request.GET["q"])
        return books[:100]


class AuthorList(View):
    def get(self, request):
        authors = self.get_queryset(request)
        return JsonResponse({"authors": [author_json(author) for author in authors]})

    def get_queryset(self, request):
        return Author.objects.all()
"""
    ),
    "library/books/serializers.py": (
        """\
def book_json(book):
    return {"title": book.title, "author": book.author.name, "isbn": book.isbn}


def author_json(author):
    return {"name": author.name, "books": author.book_set.count()}
"""
    ),
    "library/books/migrations/__init__.py": "",
    "library/books/migrations/0001_initial.py": (
        """\
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(name="Author", fields=[("id", models.AutoField(primary_key=True))]),
        migrations.CreateModel(name="Book", fields=[("id", models.AutoField(primary_key=True))]),
    ]
"""
    ),
    "requirements.txt": "django==5.0.1\npsycopg==3.1.16\n",
}

FEED = {
    "feed/main.py": (
        """\
from fastapi import Depends, FastAPI

from feed.cache import Cache
from feed.store import Store, get_store

app = FastAPI()
cache = Cache(ttl=30)


@app.get("/posts")
async def list_posts(limit: int = 20, store: Store = Depends(get_store)):
    posts = await store.latest(limit)
    return [render_post(post) for post in posts]


@app.get("/posts/{post_id}")
async def show_post(post_id: int, store: Store = Depends(get_store)):
    hit = cache.get(post_id)
    if hit is None:
        hit = render_post(await store.by_id(post_id))
        cache.put(post_id, hit)
    return hit


@app.get("/health")
async def health():
    return {"ok": True}


def render_post(post):
    return {"id": post["id"], "body": post["body"].replace("\\n", "<br>"), "likes": post["likes"]}
"""
    ),
    "feed/cache.py": (
        """\
import time


class Cache:
    def __init__(self, ttl):
        self.ttl = ttl
        self.kept = {}

    def get(self, key):
        for kept_key, (value, until) in list(self.kept.items()):
            if kept_key == key and until > time.monotonic():
                return value
        return None

    def put(self, key, value):
        self.kept[key] = (value, time.monotonic() + self.ttl)

    def size(self):
        return len(self.kept)
"""
    ),
    "feed/store.py": (
        """\
import asyncpg

DSN = "postgresql://localhost/feed"


class Store:
    def __init__(self, pool):
        self.pool = pool

    async def latest(self, limit):
        async with self.pool.acquire() as db:
            rows = await db.fetch("SELECT * FROM posts ORDER BY created DESC LIMIT $1", limit)
            found = []
            for row in rows:
                likes = await db.fetchval("SELECT count(*) FROM likes WHERE post_id = $1", row["id"])
                found.append({**row, "likes": likes})
            return found

    async def by_id(self, post_id):
        async with self.pool.acquire() as db:
            row = await db.fetchrow("SELECT * FROM posts WHERE id = $1", post_id)
            return {**row, "likes": 0}


async def get_store():
    return Store(await asyncpg.create_pool(DSN, min_size=1, max_size=5))
"""
    ),
    "pyproject.toml": (
        """\
[project]
name = "feed"
version = "0.1.0"
dependencies = ["fastapi>=0.110", "asyncpg>=0.29"]

[project.optional-dependencies]
dev = ["pytest>=8"]

[tool.ruff]
line-length = 100

[tool.perfhunt]
schema = 1
"""
    ),
    "uv.lock": (
        """\
version = 1

[[package]]
name = "asyncpg"
version = "0.29.0"

[[package]]
name = "fastapi"
version = "0.110.0"
dependencies = [{ name = "pydantic" }, { name = "starlette" }]

[[package]]
name = "pydantic"
version = "2.6.0"

[[package]]
name = "starlette"
version = "0.36.3"
dependencies = [{ name = "anyio" }]

[[package]]
name = "anyio"
version = "4.3.0"
"""
    ),
    "alembic/versions/001_posts.py": (
        """\
from alembic import op
import sqlalchemy as sa

revision = "001"


def upgrade():
    op.create_table("posts", sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.Text))


def downgrade():
    op.drop_table("posts")
"""
    ),
    ".env": "DSN=postgresql://localhost/feed\nPOOL_MAX=5\n",
    "nginx.conf": (
        """\
worker_processes 2;
events { worker_connections 512; }
http {
  upstream feed {
    server 127.0.0.1:8000;
  }
  server {
    listen 80;
    location / {
      proxy_pass http://feed;
    }
  }
}
"""
    ),
}
