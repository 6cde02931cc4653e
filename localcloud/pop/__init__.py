"""POP, the RPC gateway of Alibaba Cloud's APIs, on this machine: speech tokens and STS sessions."""

from localcloud.pop.app import make_app

__all__ = ["make_app"]
