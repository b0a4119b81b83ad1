"""Who may come in, by token or by the proxy's word, and to which kernel; no page, no kernel."""

from __future__ import annotations

import hmac
import re
from typing import Any

from jupyter_server.auth import Authorizer, IdentityProvider, User
from tornado.web import HTTPError, RequestHandler
from traitlets import Unicode

#: A name of a hospital's directory: letters of any script, digits, and what addresses need.
#: A comma would be two headers in one.
_NAME = re.compile(r"[\w.@+\\/ '-]{1,64}")


class TokenIdentity(IdentityProvider):  # type: ignore[misc]
    """Whoever has the token is a reader; a cookie keeps one browser apart from the others."""

    logout_available = False

    async def get_user_token(self, handler: RequestHandler) -> User | None:
        """A request's user where it brings the token, in its address or a header."""
        if not self._is_token(self.get_token(handler)):
            return None
        known: User | None = self.get_user_cookie(handler)
        return known or self.generate_anonymous_user(handler)

    def process_login_form(self, handler: RequestHandler) -> User | None:
        """The user who typed the token into the login page."""
        if not self._is_token(handler.get_argument("password", default="")):
            return None
        return self.generate_anonymous_user(handler)

    def _is_token(self, said: str | None) -> bool:
        return bool(said) and hmac.compare_digest(str(said).encode(), str(self.token).encode())


class ProxyIdentity(IdentityProvider):  # type: ignore[misc]
    """A reader is whom the authenticating proxy names; without its header nobody comes in."""

    header = Unicode(config=True)
    auth_enabled = True
    login_available = False
    logout_available = False

    def get_user(self, handler: Any) -> User:
        """The user that the proxy's header names; 403 for a request without one."""
        names = handler.request.headers.get_list(self.header)
        name = names[0].encode("latin-1").decode("utf-8", "replace").strip() if names else ""
        if len(names) != 1 or not _NAME.fullmatch(name):
            handler.current_user = handler._jupyter_current_user = None
            raise HTTPError(403, "the sign-in in front of this server named no reader")
        return User(name)


class OwnKernels(Authorizer):  # type: ignore[misc]
    """A reader may do with a kernel what its page needs if it was handed to that reader."""

    def is_authorized(self, handler: Any, user: User, action: str, resource: str) -> bool:
        """Whether the request's kernel is the user's own."""
        del action
        kernel = handler.path_kwargs.get("kernel_id", "")
        owners = handler.settings["owners"]
        return resource == "kernels" and bool(owners.owns(user.username, kernel))
