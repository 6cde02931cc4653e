"""multipart/form-data as a stream: small fields first, then the file, in memory that does not grow with it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message

from localcloud.oss.errors import OssError

MAX_FIELD_BYTES = 8 * 1024
MAX_FIELDS = 200
_MAX_HEAD_BYTES = 8 * 1024
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")


@dataclass(frozen=True, slots=True)
class FieldHead:
    """What stands before a field's value: its name, and of a file its name and type."""

    name: str
    filename: str
    content_type: str


class Form:
    """The fields of a form, one after the other.

    Every method raises `MalformedPOSTRequest` where the body is not what its Content-Type says.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        header = Message()
        header["content-type"] = content_type
        boundary = str(header.get_param("boundary") or "")
        if header.get_content_type() != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
            raise OssError("MalformedPOSTRequest")
        self._body = body
        self._delimiter = b"\r\n--" + boundary.encode()
        self._buffer = bytearray(b"\r\n")  # what stands before the first delimiter, had there been a line before it

    async def begin(self) -> None:
        """Read to the first field."""
        while len(self._buffer) < len(self._delimiter):
            await self._fill()
        if not self._buffer.startswith(self._delimiter):
            raise OssError("MalformedPOSTRequest")
        del self._buffer[: len(self._delimiter)]

    async def head(self) -> FieldHead | None:
        """The head of the next field, None at the end of the form."""
        while len(self._buffer) < 2:
            await self._fill()
        if self._buffer.startswith(b"--"):
            return None
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise OssError("MalformedPOSTRequest")
            await self._fill()
        lines = bytes(self._buffer[:end]).decode("utf-8", "surrogateescape").split("\r\n")
        del self._buffer[: end + 4]
        if lines[0] or end > _MAX_HEAD_BYTES:
            raise OssError("MalformedPOSTRequest")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        names = _parameters(fields.get("content-disposition", ""))
        if "name" not in names:
            raise OssError("MalformedPOSTRequest")
        return FieldHead(names["name"], names.get("filename", ""), fields.get("content-type", ""))

    async def value(self) -> str:
        """The value of a small field; `FieldItemTooLong`, and `InvalidArgument` if it is not UTF-8."""
        data = bytearray()
        async for piece in self.data():
            data += piece
            if len(data) > MAX_FIELD_BYTES:
                raise OssError("FieldItemTooLong", fields={"MaxSizeAllowed": str(MAX_FIELD_BYTES)})
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            raise OssError("InvalidArgument", "A form field is not UTF-8.") from exc

    async def data(self) -> AsyncIterator[bytes]:
        """The bytes of a field, up to the next delimiter."""
        while (end := self._buffer.find(self._delimiter)) < 0:
            safe = len(self._buffer) - len(self._delimiter) + 1
            if safe > 0:
                piece = bytes(self._buffer[:safe])
                del self._buffer[:safe]
                yield piece
            await self._fill()
        piece = bytes(self._buffer[:end])
        del self._buffer[: end + len(self._delimiter)]
        yield piece

    async def _fill(self) -> None:
        async for piece in self._body:
            self._buffer += piece
            return
        raise OssError("MalformedPOSTRequest")


_PARAMETER = re.compile(r';\s*(name|filename)="((?:[^"\\]|\\.)*)"|;\s*(name|filename)=([^;"\s]+)', re.IGNORECASE)


def _parameters(disposition: str) -> dict[str, str]:
    if not disposition.lower().startswith("form-data"):
        return {}
    found = {}
    for match in _PARAMETER.finditer(disposition):
        # Browsers write a quote as %22 and leave backslashes alone: a Windows path is none of escapes.
        found[(match[1] or match[3]).lower()] = (match[2] or match[4] or "").replace('\\"', '"')
    return found
