"""FastAPI's page of its document in a real Chromium: the padlocks, and the button that signs people in."""

import re
from collections.abc import Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Security
from playwright.sync_api import Locator, Page, Route, expect
from starlette.applications import Starlette
from starlette.routing import Mount

from keyturn import Principal
from keyturn.fastapi import Keyturn
from keyturn.testing.http_suite import World, check_password
from tests.http.clients import PASSWORD, bearer, client_of
from tests.support.browser import require_swagger_ui

pytestmark = pytest.mark.browser

auth = Keyturn(World().async_manager(), login=check_password)
app = FastAPI()
auth.install(app)


@app.get("/orders")
async def orders(principal: Annotated[Principal, Security(auth.current, scopes=["orders:read"])]) -> str:
    """Say who asks."""
    return f"orders of {principal.user_id}"


@app.get("/free")
async def free() -> str:
    """Ask nobody who they are."""
    return "free"


@pytest.fixture(params=["", "/api"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """The application at the root of a site, and below a path."""
    mount: str = request.param
    with client_of(Starlette(routes=[Mount(mount, app)])) as client:
        client.base_url = client.base_url.join(f"{mount}/")
        yield client


@pytest.fixture
def docs(page: Page, client: httpx.Client) -> Page:
    """The page, as FastAPI makes it, with Swagger UI's own files from here instead of from elsewhere."""
    files = require_swagger_ui()

    def answer(route: Route) -> None:
        path = files / route.request.url.rpartition("/")[2]
        if path.is_file():
            route.fulfill(path=path)
        else:
            route.abort()

    page.route(re.compile("^https:"), answer)
    page.goto(str(client.base_url.join("docs")))
    return page


def scheme(docs: Page, name: str) -> Locator:
    """Open what the button "Authorize" shows, and give its part for one scheme."""
    docs.locator(".scheme-container").get_by_role("button", name="Authorize").click()
    return docs.locator(".auth-container").filter(has=docs.get_by_role("heading", name=name))


def authorize(docs: Page, part: Locator) -> None:
    """Press the button of a scheme, and close the dialogue when it has worked."""
    part.locator("button.authorize").click()
    expect(part.get_by_role("button", name="Remove authorization")).to_be_visible()
    docs.locator(".modal-ux").get_by_role("button", name="Close").first.click()


def said(docs: Page) -> Locator:
    """Try the guarded route out, and give what the page shows of the answer."""
    route = docs.locator("#operations-default-orders_orders_get")
    route.locator(".opblock-summary-control").click()
    route.get_by_role("button", name="Try it out").click()
    route.get_by_role("button", name="Execute").click()
    return route.locator(".live-responses-table")


def test_only_guarded_routes_have_padlocks(docs: Page) -> None:
    """The application's and the endpoints'."""
    locks = {"orders_orders_get": 1, "free_free_get": 0}
    for operation, count in locks.items():
        expect(docs.locator(f"#operations-default-{operation} .authorization__btn")).to_have_count(count)
    expect(docs.locator("#operations-auth-keyturn_get_me .authorization__btn")).to_have_count(1)
    expect(docs.locator("#operations-auth-keyturn_post_login .authorization__btn")).to_have_count(0)


def test_a_page_without_a_token_is_told_so(docs: Page) -> None:
    """The answer is ours."""
    expect(said(docs)).to_contain_text("This needs a token.")


def test_authorize_takes_a_token(docs: Page, client: httpx.Client) -> None:
    """One that somebody pastes."""
    part = scheme(docs, "keyturnBearer")
    part.get_by_role("textbox").fill(bearer(client, "buyer-bo")["Authorization"].removeprefix("Bearer "))
    authorize(docs, part)
    expect(said(docs)).to_contain_text("orders of buyer-bo")


@pytest.mark.parametrize(
    ("user", "answer"), [("buyer-bo", "orders of buyer-bo"), ("mem", "insufficient_scope")]
)
def test_authorize_takes_a_user_name_and_a_password(docs: Page, user: str, answer: str) -> None:
    """The page signs in, and sends the token that it gets; a scope that is missing is missing."""
    part = scheme(docs, "keyturnPassword")
    part.get_by_label("username").fill(user)
    part.get_by_label("password", exact=False).first.fill(PASSWORD)
    authorize(docs, part)
    expect(said(docs)).to_contain_text(answer)
