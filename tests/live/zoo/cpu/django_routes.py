"""Three routes of a Django project, two of which share a function. Culprit: tax_table. Decoys: a
short wait in each, and render_page.
"""

import time

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from work import MARGIN, mendable, render_page, rounds_in

TABLE, PAGE = rounds_in(10.0), rounds_in(10.0 / MARGIN)


@mendable
def tax_table(rounds: int) -> int:
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total


def cart(request):
    time.sleep(0.002)
    tax_table(TABLE)
    return HttpResponse(render_page(PAGE))


def invoice(request):
    tax_table(TABLE)
    time.sleep(0.002)
    return HttpResponse(render_page(PAGE))


def home(request):
    return HttpResponse(render_page(PAGE))


urlpatterns = [path("", home), path("cart", cart), path("invoice", invoice)]
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="zoo",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],  # which says how long a body is
)
django.setup()
app = get_wsgi_application()
