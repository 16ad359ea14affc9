"""Keyturn for Django REST framework: authentication and permissions. It decides nothing.

```python
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["keyturn.django.rest.KeyturnAuthentication"]}


class Orders(APIView):
    permission_classes = [Requires("orders:read", roles=("clerk",)) | IsAdminUser]
```

A view of the framework answers in the framework's shape, `{"detail": …, "code": …}`, so that an application's
own exception handler sees every refusal. The endpoints keep theirs, that of OAuth (RFC 6749, section 5.2).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

try:
    from rest_framework.authentication import BaseAuthentication
    from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied
    from rest_framework.permissions import BasePermission
    from rest_framework.request import Request
except ImportError as error:
    raise ImportError("keyturn.django.rest needs its extra: pip install 'keyturn[drf]'") from error

from django.utils.functional import SimpleLazyObject
from typing_extensions import Unpack

from keyturn._core.encoding import parse_json_object
from keyturn.django.asking import admit, check, user_of
from keyturn.django.wire import add_value
from keyturn.http import HttpReply, NeedsOptions, needs, put_headers
from keyturn.results import Principal

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from rest_framework.views import APIView

    from keyturn.http import Headers, Needs

_CHALLENGE: Final = "_keyturn_challenge"
_ANYBODY: Final = needs(optional=True)


class KeyturnAuthentication(BaseAuthentication):
    """Authenticates by the access token: `request.auth` is a `keyturn.Principal`, `request.user` its user.

    The user is loaded when somebody looks, as `IsAuthenticated` does: one who is gone or may not go on gets
    401. A view that asks for `Requires` alone reads no user.
    """

    def authenticate(self, request: Request) -> tuple[Any, Principal[Any]] | None:
        """Say who asks; None where no token was sent, so that others may be asked.

        Raises:
            AuthenticationFailed: The token is not acceptable.
            APIException: Several were sent, or the store cannot be asked.
        """
        asked = request._request  # noqa: SLF001  (the framework has no other name for it)
        verdict = check(asked, _ANYBODY)
        if isinstance(verdict, HttpReply):
            raise _refused(request, verdict)
        if verdict.principal is None:
            return None
        admit(asked, verdict)
        _add_headers(request, verdict.headers)
        return SimpleLazyObject(partial(_load, verdict.principal)), verdict.principal

    def authenticate_header(self, request: Request) -> str:
        """Give the challenge (RFC 6750, section 3); without it, the framework would answer 403."""
        return str(getattr(request, _CHALLENGE, "Bearer"))


def Requires(*scopes: str, **options: Unpack[NeedsOptions]) -> type[BasePermission]:  # noqa: N802  (a class)
    """Make a permission: `permission_classes = [Requires("orders:read", fresh="5m")]`; &, | and ~ compose it.

    It is about the token that `KeyturnAuthentication` has accepted. On its own, it refuses as
    `keyturn.django.decorators.require` does, in the framework's shape. Within a composition, the framework
    refuses for all of it, with 403. With `optional`, nobody need be signed in.

    Args:
        scopes: What the token's `scope` must hold.
        options: What else is needed: see `keyturn.http.NeedsOptions`.
    """
    return type("Requires", (_Permission,), {"wanted": needs(*scopes, **options)})


class _Permission(BasePermission):
    wanted: Needs

    def __init__(self) -> None:
        self._denied: APIException | None = None

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002  (the framework's)
        """Tell whether who asks has what is needed, by the token that they were authenticated with.

        Raises:
            APIException: The store cannot be asked.
        """
        if not isinstance(request.auth, Principal):  # the token, if any, may be somebody else's
            return self.wanted.optional
        verdict = check(request._request, self.wanted)  # noqa: SLF001  (as above)
        if not isinstance(verdict, HttpReply):
            return True
        self._denied = _refused(request, verdict)
        if not isinstance(self._denied, AuthenticationFailed | PermissionDenied):
            raise self._denied
        return False

    def has_object_permission(self, request: Request, view: APIView, obj: object) -> bool:  # noqa: ARG002  (the framework's)
        """Tell the same of every object, so that `~` and `|` mean it, too."""
        return self.has_permission(request, view)

    @property
    def message(self) -> str | None:
        """What the framework asks a permission for whose refusal stands: then the whole of it is answered.

        Raises:
            APIException: The refusal, with its own status and challenge.
        """
        if self._denied is not None:
            raise self._denied
        return None


def _load(who: Principal[Any]) -> AbstractBaseUser:
    user: Any = user_of(who)
    if not user.is_authenticated:
        raise AuthenticationFailed({"detail": "The user is gone or disabled.", "code": "user_inactive"})
    loaded: AbstractBaseUser = user
    return loaded


def _refused(request: Request, reply: HttpReply) -> APIException:
    """Write a refusal as the framework does."""
    body = parse_json_object(reply.body)
    headers = dict(reply.headers)
    detail: Any = {"detail": body["error_description"], "code": body["error"]}
    refusal: Any
    match reply.status:
        case 401:
            refusal = AuthenticationFailed(detail)
            setattr(request, _CHALLENGE, headers.get("WWW-Authenticate", "Bearer"))
        case 403:
            refusal = PermissionDenied(detail)
        case _:
            refusal = APIException(detail)
    refusal.status_code = reply.status
    refusal.auth_header = headers.get("WWW-Authenticate")
    if "Retry-After" in headers:
        refusal.wait = int(headers["Retry-After"])
    return refusal  # type: ignore[no-any-return] # it is one


def _add_headers(request: Request, headers: Headers) -> None:
    """Have the view send headers."""
    view: Any = (request.parser_context or {}).get("view")
    sent: Any = getattr(view, "headers", None)
    if sent is None:
        return
    put_headers(headers, partial(add_value, sent), sent.__setitem__)
