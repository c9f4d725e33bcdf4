"""Classes of users that share a base, and differ in weight and in tasks."""

from locust import HttpUser, between, task


def checkout(user):
    user.client.post("/checkout")


class WebsiteUser(HttpUser):
    abstract = True
    wait_time = between(2, 9)
    pages = ("/",)

    @task
    def visit(self):
        for page in self.pages:
            self.client.get(page)


class MobileUser(WebsiteUser):
    weight = 3
    pages = ("/mobile",)


class DesktopUser(WebsiteUser):
    weight = 1
    pages = ("/desktop", "/desktop/more")
    tasks = {checkout: 1}  # noqa: RUF012


class AdminUser(WebsiteUser):
    weight = 0
    pages = ("/admin",)
