"""The API gateway in front of the three functions: routes by path, passes everything on as it is."""

from localcloud.gateway.app import make_app
from localcloud.gateway.routes import function_of

__all__ = ["function_of", "make_app"]
