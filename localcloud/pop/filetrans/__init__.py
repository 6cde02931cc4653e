"""Recording-file transcription (product nls-filetrans, 2018-08-17): tasks submitted by POP, done in the background.

Source: the interface page of recording-file recognition (help.aliyun.com/zh/isi/developer-reference, 2025-10-15).
Deviation: the real service refuses file and callback URLs whose host is an IP address or this machine; here they must
be on this machine (`127.0.0.1`, `localhost`), since localcloud never reaches out. `FileLimits.refuse_addresses` brings
the real rule back for IP addresses.
"""

from __future__ import annotations

from localcloud.pop.filetrans.limits import FileLimits
from localcloud.pop.filetrans.service import FILETRANS, FileService

__all__ = ["FILETRANS", "FileLimits", "FileService"]
