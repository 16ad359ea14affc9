"""The HTTP layer: every rule once, plain data in and out. It knows no framework; the leaves beside it do.

A leaf reads an `HttpRequest`, asks `Endpoints` or a `Guard` (or an async twin), and writes the `HttpReply`.
"""

from __future__ import annotations

from keyturn.http.calls import Accepted, AsyncLogin, Login, SignIn, is_awaited
from keyturn.http.clients import context_from, device_from, network_of
from keyturn.http.endpoints import AsyncEndpoints, Endpoints
from keyturn.http.guard import LIST_VALUED, Admitted, AsyncGuard, Guard, Verdict, put_headers, signed_in
from keyturn.http.messages import MAX_BODY, Headers, HttpReply, HttpRequest
from keyturn.http.needs import Needs, NeedsOptions, Requirements, needs
from keyturn.http.page import Page, PageView
from keyturn.http.places import JWKS_PATH
from keyturn.http.replies import refuse, unreadable_body
from keyturn.http.settings import HttpSettings
from keyturn.http.site import LoginThrottle, Transport

__all__ = [
    "Accepted",
    "Admitted",
    "AsyncEndpoints",
    "AsyncGuard",
    "AsyncLogin",
    "Endpoints",
    "Guard",
    "Headers",
    "HttpReply",
    "HttpRequest",
    "HttpSettings",
    "JWKS_PATH",
    "LIST_VALUED",
    "Login",
    "LoginThrottle",
    "MAX_BODY",
    "Needs",
    "NeedsOptions",
    "Page",
    "PageView",
    "Requirements",
    "SignIn",
    "Transport",
    "Verdict",
    "context_from",
    "device_from",
    "is_awaited",
    "needs",
    "network_of",
    "put_headers",
    "refuse",
    "signed_in",
    "unreadable_body",
]
