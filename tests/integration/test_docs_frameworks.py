"""The examples for Django and FastAPI work as they stand there, tested as a service would."""

from pathlib import Path

from tests.support.pages import examples
from tests.support.service_tests import run_tests, written

PAGE = "enqueue.md"

DJANGO_CONFTEST = """
import django
import pytest
from django.conf import settings

settings.configure(
    SECRET_KEY="x",
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}},
    INSTALLED_APPS=["shop"],
    ROOT_URLCONF="shop.urls",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()


@pytest.fixture(autouse=True)
def tables():
    from django.core.management import call_command
    from shop import mailing, outbox

    call_command("migrate", run_syncdb=True, verbosity=0)
    mailing.post.cache_clear()
    for model in (outbox.Announcement, outbox.Article, mailing.Subscriber):
        model.objects.all().delete()
    mailing.Subscriber.objects.create(email="ada@example.com")
"""
DJANGO_MODELS = """
from django.db import models


class Article(models.Model):
    title = models.TextField()
    published_at = models.DateTimeField(auto_now_add=True)

    def get_absolute_url(self):
        return f"https://shop.example.com/{self.pk}"


class Subscriber(models.Model):
    email = models.EmailField()
"""
DJANGO_URLS = """
from django.db import transaction
from django.http import HttpResponse
from django.urls import path

from shop import mailing, outbox
from shop.models import Article


def publishing(announce):
    def view(request):
        with transaction.atomic():
            article = Article.objects.create(title="Autumn")
            announce(article)
        return HttpResponse(status=201)
    return view


urlpatterns = [
    path("plain", publishing(mailing.announce)),
    path("outbox", publishing(outbox.announce)),
]
"""
DJANGO_TESTS = """
import pytest
from django.core.management import call_command
from django.test import Client
from shop import mailing, outbox


def test_an_article_is_announced_once(postroom):
    assert Client().get("/plain").status_code == 201
    call_command("announce")
    [mail] = postroom.outbox
    assert (mail.to, mail.subject) == ("ada@example.com", "New: Autumn")
    assert "https://shop.example.com/" in mail.text


@pytest.mark.parametrize("how", ["plain", "outbox"])
def test_what_is_published_while_redis_is_away_is_announced_later(postroom, monkeypatch, how):
    with monkeypatch.context() as away:
        away.setenv("POSTROOM_REDIS_URL", "redis://127.0.0.1:1/0")
        assert Client().get(f"/{how}").status_code == 201
    mailing.post.cache_clear()
    assert postroom.outbox == []
    for _ in range(2):
        call_command("announce") if how == "plain" else outbox.submit_open()
        assert len(postroom.outbox) == 1


def test_the_outbox_is_empty_once_all_is_submitted(postroom):
    Client().get("/outbox")
    assert not outbox.Announcement.objects.filter(submitted_at=None).exists()
    assert len(postroom.outbox) == 1
"""
FASTAPI_TESTS = """
import pytest
from fastapi.testclient import TestClient
from shop import api

ASKING = {"Authorization": "Bearer word"}
PEOPLE = "email,name\\nada@example.com,Ada\\n"


@pytest.fixture
def ask(postroom, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "word")
    api.post.cache_clear()
    client = TestClient(api.app)
    def asked(path, people=PEOPLE, headers=ASKING):
        return client.post(path, files={"people": people}, headers=headers)
    return asked


def test_a_campaign_from_the_disk_is_sent_once(postroom, ask):
    first, second = ask("/campaigns/autumn/k1"), ask("/campaigns/autumn/k1")
    assert (first.status_code, second.json()["id"]) == (202, first.json()["id"])
    [mail] = postroom.outbox
    assert mail.subject == "Ada, the autumn list"


def test_nobody_sends_without_the_token_or_what_is_not_on_the_disk(postroom, ask):
    assert ask("/campaigns/autumn/k1", headers={}).status_code in (401, 403)
    assert ask("/campaigns/autumn/k1", headers={"Authorization": "Bearer x"}).status_code == 401
    assert ask("/campaigns/..%2Fsecret/k1").status_code in (404, 422)
    assert ask("/campaigns/spring/k1").status_code == 422
    assert postroom.outbox == []


def test_a_key_of_another_campaign_is_a_conflict(postroom, ask):
    assert ask("/campaigns/autumn/k1").status_code == 202
    assert ask("/campaigns/welcome/k1").status_code == 409
    assert len(postroom.outbox) == 1


def test_a_key_that_is_being_submitted_is_a_conflict(postroom, ask):
    from postroom.ids import new_campaign_id
    from postroom.settings import load
    from postroom.store.connection import Store
    from postroom.store.drafts import Drafts
    loaded = load()
    drafts = Drafts(Store(loaded.redis), loaded.store)
    drafts.claim_key("k1", new_campaign_id(lambda: 1.0), digest="")
    assert ask("/campaigns/autumn/k1").status_code == 409


def test_bad_input_and_a_redis_that_is_away_have_codes_of_their_own(ask, monkeypatch):
    assert ask("/campaigns/autumn/k1", people="name\\nAda\\n").status_code == 422
    monkeypatch.setenv("POSTROOM_REDIS_URL", "redis://127.0.0.1:1/0")
    api.post.cache_clear()
    assert ask("/campaigns/autumn/k1").status_code == 503
"""
CAMPAIGN = """
name = "Autumn"
sender = "news"
subject = "{{ name }}, the autumn list"
text = "Hello"
"""


def test_the_django_examples_announce_everything_once(tmp_path: Path) -> None:
    [mailing] = examples(PAGE, "In Django")
    command, outbox = examples(PAGE, "When Redis is away")
    service = {
        "conftest.py": DJANGO_CONFTEST,
        "shop/__init__.py": "",
        "shop/models.py": DJANGO_MODELS,
        "shop/urls.py": DJANGO_URLS,
        "shop/mailing.py": mailing,
        "shop/outbox.py": outbox,
        "shop/management/__init__.py": "",
        "shop/management/commands/__init__.py": "",
        "shop/management/commands/announce.py": command,
        "test_shop.py": DJANGO_TESTS,
    }
    code, said = run_tests(written(tmp_path, service))
    assert code == 0, said
    assert "4 passed" in said


def test_the_fastapi_example_is_no_open_relay_and_answers_with_the_right_codes(
    tmp_path: Path,
) -> None:
    [api] = examples(PAGE, "In FastAPI")
    service = {
        "conftest.py": "",
        "shop/__init__.py": "",
        "shop/api.py": api,
        "campaigns/autumn.toml": CAMPAIGN,
        "campaigns/welcome.toml": CAMPAIGN.replace("Autumn", "Welcome"),
        "test_shop.py": FASTAPI_TESTS,
    }
    code, said = run_tests(written(tmp_path, service))
    assert code == 0, said
    assert "5 passed" in said
