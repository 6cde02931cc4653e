"""OSS's refusals: one table of codes with status, message and OSS's own EC, and their XML.

Source of codes, messages and EC numbers: the pages "HTTP status code 4xx" and "0002-..." to "0026-..." of the OSS
documentation (help.aliyun.com/zh/oss/support). Where no EC is published none is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row: HTTP status, default message, EC (empty when none is published)."""

    status: int
    message: str
    ec: str = ""


REFUSALS: dict[str, Refusal] = {
    "AccessDenied": Refusal(403, "AccessDenied"),
    "AccessForbidden": Refusal(
        403,
        "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request "
        "method / Access-Control-Request-Method or Access-Control-Requet-Headers are not whitelisted by the resource's "
        "CORS spec.",
    ),
    "BucketAlreadyExists": Refusal(
        409,
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
        "Please select a different name and try again.",
    ),
    "BucketNotEmpty": Refusal(409, "The bucket you tried to delete is not empty."),
    "EntityTooLarge": Refusal(400, "Your proposed upload exceeds the maximum allowed size."),
    "EntityTooSmall": Refusal(400, "Your proposed upload smaller than the minimum allowed size.", "0042-00000213"),
    "FieldItemTooLong": Refusal(400, "Your post request's field is too long."),
    "FileAlreadyExists": Refusal(
        409, "The object you specified already exists and can not be overwritten.", "0026-00000002"
    ),
    "IncompleteBody": Refusal(400, "You did not provide the number of bytes specified by the Content-Length header."),
    "InternalError": Refusal(500, "Please contact the server administrator, oss@service.aliyun.com."),
    "InvalidAccessKeyId": Refusal(
        403, "The OSS Access Key Id you provided does not exist in our records.", "0002-00000902"
    ),
    "InvalidArgument": Refusal(400, "Invalid Argument"),
    "InvalidBucketName": Refusal(400, "The specified bucket is not valid."),
    "InvalidDigest": Refusal(400, "The Content-MD5 you specified was invalid."),
    "InvalidObjectName": Refusal(400, "The specified object is not valid."),
    "InvalidPart": Refusal(
        400,
        "One or more of the specified parts could not be found or the specified entity tag might not have matched "
        "the part's entity tag.",
    ),
    "InvalidPartOrder": Refusal(
        400,
        "The list of parts was not in ascending order. Parts list must specified in order by part number.",
        "0042-00000209",
    ),
    "InvalidPolicyDocument": Refusal(400, "Invalid Policy."),
    "InvalidRange": Refusal(416, "The requested range cannot be satisfied"),
    "InvalidSecurityToken": Refusal(403, "The security token you provided is invalid.", "0002-00000008"),
    "InvalidTag": Refusal(400, "The tag you provided is invalid."),
    "MalformedPOSTRequest": Refusal(400, "The body of your POST request is not well-formed multipart/form-data."),
    "MalformedXML": Refusal(
        400, "The XML you provided was not well-formed or did not validate against our published schema."
    ),
    "MethodNotAllowed": Refusal(405, "The specified method is not allowed against this resource."),
    "MissingArgument": Refusal(400, "Missing Some Required Arguments."),
    "MissingContentLength": Refusal(411, "You must provide the Content-Length HTTP header."),
    "NoSuchBucket": Refusal(404, "The specified bucket does not exist.", "0015-00000101"),
    "NoSuchKey": Refusal(404, "The specified key does not exist.", "0026-00000001"),
    "NoSuchCORSConfiguration": Refusal(404, "The CORS Configuration does not exist."),
    "NoSuchLifecycle": Refusal(404, "No Row found in Lifecycle Table."),
    "NoSuchUpload": Refusal(
        404,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
    ),
    "NoSuchVersion": Refusal(404, "The specified version does not exist."),
    "NotImplemented": Refusal(501, "A header or parameter you provided implies functionality that is not implemented."),
    "NotModified": Refusal(304, ""),
    "ObjectNotAppendable": Refusal(409, "The object is not appendable", "0026-00000017"),
    "OperationNotSupported": Refusal(400, "The operation is not supported for this resource"),
    "PositionNotEqualToLength": Refusal(409, "Position is not equal to file length", "0026-00000016"),
    "PreconditionFailed": Refusal(412, "At least one of the pre-conditions you specified did not hold."),
    "PublicEndpointForbidden": Refusal(
        400, "Public endpoint is forbidden for this account. Use a custom domain name (CNAME) instead."
    ),
    "RequestTimeout": Refusal(
        400,
        "Your socket connection to the server was not read from or written to within the timeout period.",
    ),
    "RequestTimeTooSkewed": Refusal(
        403, "The difference between the request time and the current time is too large.", "0002-00000504"
    ),
    "SecurityTokenExpired": Refusal(403, "The security token you provided has expired.", "0002-00000007"),
    "ServiceUnavailable": Refusal(503, "Please reduce your request rate."),
    "SignatureDoesNotMatch": Refusal(
        403,
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    ),
}


class OssError(Exception):
    """One refusal on its way to the client.

    Parameters
    ----------
    code
        A key of `REFUSALS`; it decides the status.
    message
        Overrides the table's message.
    fields
        Further XML elements, such as `ArgumentName`.
    headers
        Further response headers, such as `x-oss-next-append-position`.
    ec
        OSS's own error number, where the place of the refusal decides it.
    status
        Overrides the table's HTTP status: injected faults choose theirs.
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        ec: str = "",
        status: int = 0,
    ) -> None:
        row = REFUSALS.get(code)
        self.code = code
        self.status = status or (row.status if row else 500)
        self.message = message or (row.message if row else code)
        self.ec = ec or (row.ec if row else "")
        self.fields = dict(fields or {})
        self.headers = dict(headers or {})
        super().__init__(f"{self.status} {code}: {self.message}")

    def xml(self, request_id: str, host: str) -> bytes:
        """The error document as OSS writes it (no namespace: oss2 would not find its elements)."""
        rows = {"Code": self.code, "Message": self.message, "RequestId": request_id, "HostId": host, **self.fields}
        if self.ec:
            rows["EC"] = self.ec
        body = "".join(f"  <{name}>{escape(value)}</{name}>\n" for name, value in rows.items())
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n{body}</Error>\n'.encode("utf-8", "replace")


def invalid_argument(message: str, name: str, value: str, ec: str = "") -> OssError:
    """`InvalidArgument` with the argument's name and value, as OSS reports it."""
    return OssError("InvalidArgument", message, fields={"ArgumentName": name, "ArgumentValue": value}, ec=ec)


def not_implemented(what: str) -> OssError:
    """501 for whatever this server does not serve: never a silent success."""
    return OssError("NotImplemented", f"localcloud does not serve {what}.")
