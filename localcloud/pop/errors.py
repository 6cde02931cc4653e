"""How the POP gateway refuses: JSON with Code, Message, RequestId, HostId and Recommend, and the right HTTP status.

Source: the common error codes of RPC APIs in the documentation of several products
(help.aliyun.com/document_detail/48054 for one) and recorded answers;
the 404 of an unknown AccessKeyId is shown by the speech service's own page.
"""

from __future__ import annotations

from typing import Any

REFUSALS: dict[str, tuple[int, str]] = {
    "EntityNotExist.Role": (404, "The role not exists."),
    "InternalError": (500, "The request processing has failed due to some unknown error."),
    "InvalidAccessKeyId.NotFound": (404, "Specified access key is not found."),
    "InvalidAction.NotFound": (404, "Specified api is not found, please check your url and method."),
    "InvalidParameter": (400, "The specified parameter is not valid."),
    "InvalidParameter.Format": (400, "Specified parameter format is not valid."),
    "InvalidSecurityToken.Expired": (403, "Specified SecurityToken is expired."),
    "InvalidSecurityToken.MismatchWithAccessKey": (403, "Specified SecurityToken mismatch with the AccessKey."),
    "InvalidSignatureMethod": (400, "Specified signature method is not valid."),
    "InvalidSignatureVersion": (400, "Specified signature version is not valid."),
    "InvalidTimeStamp.Expired": (400, "Specified time stamp or date value is expired."),
    "InvalidTimeStamp.Format": (400, "Specified time stamp or date value is not well formatted."),
    "InvalidVersion": (400, "Specified parameter Version is not valid."),
    "MissingSecurityToken": (400, "SecurityToken is mandatory for this action."),
    "NoPermission": (403, "You are not authorized to do this action. You should be authorized by RAM."),
    "NotImplemented": (501, "localcloud does not serve this."),
    "ServiceUnavailable": (503, "The request has failed due to a temporary failure of the server."),
    "SignatureDoesNotMatch": (400, "Specified signature is not matched with our calculation."),
    "SignatureNonceUsed": (400, "Specified signature nonce was used already."),
    "Throttling.User": (400, "Request was denied due to user flow control."),
    "UnsupportedHTTPMethod": (403, "This http method is not supported."),
}


class PopError(Exception):
    """One refusal; `status` and `message` default to the table's."""

    def __init__(self, code: str, message: str = "", *, status: int = 0) -> None:
        known_status, known_message = REFUSALS.get(code, (400, code))
        self.code = code
        self.status = status or known_status
        self.message = message or known_message
        super().__init__(f"{self.status} {code}: {self.message}")

    def document(self, request_id: str, host: str) -> dict[str, Any]:
        """The JSON body."""
        return {
            "Recommend": f"https://error-center.aliyun.com/status/search?Keyword={self.code}&source=PopGw",
            "Message": self.message,
            "RequestId": request_id,
            "HostId": host,
            "Code": self.code,
        }


def missing(name: str) -> PopError:
    """`Missing{Name}` for a mandatory parameter."""
    return PopError(f"Missing{name}", f"{name} is mandatory for this action.", status=400)
