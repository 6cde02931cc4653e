"""What families of operations share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from localcloud.fc import archive
from localcloud.fc.call import Answer, Call
from localcloud.fc.errors import invalid, not_built
from localcloud.fc.fleet import Platform
from localcloud.fc.rules import positive_limit

if TYPE_CHECKING:
    from localcloud.fc.service import FunctionCompute

Operation = Callable[[Call], Awaitable[Answer]]


class Family:
    """Operations that belong together. A method is named like its operation: `CreateFunction` is `create_function`."""

    def __init__(self, service: FunctionCompute, platform: Platform) -> None:
        self._service = service
        self._registry = service.registry
        self._platform = platform

    def table(self) -> dict[str, Operation]:
        """Operation name -> method, for all public methods of the family."""
        names = [name for name in vars(type(self)) if not name.startswith("_")]
        return {"".join(part.capitalize() for part in name.split("_")): getattr(self, name) for name in names}

    async def _package(self, kind: str, code: Any, *, required: bool) -> archive.Package | None:
        if code is not None and not isinstance(code, dict):
            raise invalid("code is an object")
        if not code:
            if required:
                raise invalid("code is required")
            return None
        checksum = code.get("checksum") or ""
        if code.get("ossBucketName") or code.get("ossObjectName"):
            if self._platform.code_store is None:
                raise not_built("code from OSS without an object store; send zipFile")
            place = (str(code.get("ossBucketName") or ""), str(code.get("ossObjectName") or ""))
            return await self._platform.in_thread(self._from_oss, kind, *place, checksum)
        if not isinstance(code.get("zipFile"), str):
            raise invalid("code.zipFile is required")
        return await self._platform.in_thread(archive.store, self._platform.root, kind, code["zipFile"], checksum)

    def _from_oss(self, kind: str, bucket: str, key: str, checksum: str) -> archive.Package:
        assert self._platform.code_store is not None
        try:
            data = self._platform.code_store.read(bucket, key, archive.PACKAGE_LIMIT_BYTES)
        except LookupError as error:
            raise invalid(f"the object '{key}' of the bucket '{bucket}' cannot be read") from error
        except ValueError as error:
            raise invalid(f"the package is larger than {archive.PACKAGE_LIMIT_BYTES} bytes") from error
        return archive.store_bytes(self._platform.root, kind, data, checksum)


def page_of(call: Call, names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """One page of names: `limit`, `prefix`, and `nextToken`, which is the first name of the next page."""
    prefix, start = call.query.get("prefix", ""), call.query.get("nextToken", "")
    wanted = sorted(name for name in names if name.startswith(prefix) and name >= start)
    limit = positive_limit(call.query.get("limit", ""))
    return wanted[:limit], ({"nextToken": wanted[limit]} if wanted[limit:] else {})


def check_range(given: dict[str, Any], name: str, low: int, high: int) -> None:
    value = given.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high):
        raise invalid(f"{name} is {low} to {high}")
