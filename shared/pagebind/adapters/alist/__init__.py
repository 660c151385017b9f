"""The source client: Alist 3.30 to 3.63 and OpenList 4.x over HTTP."""

from pagebind.adapters.alist.client import AlistSource
from pagebind.adapters.alist.limits import Limits
from pagebind.adapters.alist.login import Credentials, Guest, Login, StaticToken

__all__ = ["AlistSource", "Credentials", "Guest", "Limits", "Login", "StaticToken"]
