"""The API gateways in front of the functions: the cloud-native one, which forwards by path, and the traditional one."""

from localcloud.gateway.app import make_app
from localcloud.gateway.desk import Desk
from localcloud.gateway.policies import Policies
from localcloud.gateway.routes import function_of

__all__ = ["Desk", "Policies", "function_of", "make_app"]
