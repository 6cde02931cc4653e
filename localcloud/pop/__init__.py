"""POP, the RPC gateway of Alibaba Cloud's APIs, on this machine: speech tokens, file transcription and STS sessions."""

from localcloud.pop.app import make_app
from localcloud.pop.filetrans import FILETRANS, FileLimits

__all__ = ["FILETRANS", "FileLimits", "make_app"]
