"""The service's status codes with the texts that real traffic and the official documents show.

Rule of the service: 4xxxxxxx is the client's fault, 5xxxxxxx the server's. REST answers 400 and 500 accordingly.
"""

from __future__ import annotations

SUCCESS = 20000000
SUCCESS_TEXT = "Gateway:SUCCESS:Success."

CLIENT_ERROR = 40000000
ACCESS_DENIED = 40000001
MESSAGE_INVALID = 40000002
PARAMETER_INVALID = 40000003
IDLE_TIMEOUT = 40000004
TOO_MANY_REQUESTS = 40000005
BAD_CONTAINER = 40000009
NAMESPACE_NOT_FOUND = 40010001
UNSUPPORTED_DIRECTIVE = 40010002
DIRECTIVE_INVALID = 40010003
TASK_STATE = 40010005
APPKEY_NOT_EXIST = 40020105
UNSUPPORTED_FORMAT = 41010100
UNSUPPORTED_SAMPLE_RATE = 41010101
TOO_LONG_SPEECH = 41010104
TTS_CLIENT_ERROR = 41020001
NO_CLIENT_DATA = 41040201
TOO_FAST = 41040202
BAD_MAX_SILENCE = 41040205
SERVER_ERROR = 50000000
TTS_SERVER_ERROR = 51020001
ASR_SERVER_ERROR = 51040101

NOT_WORKING = "Gateway:TASK_STATE_ERROR:State is not WORKING, empty body data or appkey illegal!"

TEXTS: dict[int, str] = {
    CLIENT_ERROR: "Gateway:CLIENT_ERROR:in post data, json format illegal",
    ACCESS_DENIED: "Gateway:ACCESS_DENIED:Missing authorization header!",
    MESSAGE_INVALID: "Gateway:MESSAGE_INVALID:Missing message header!",
    PARAMETER_INVALID: "Gateway:PARAMETER_INVALID:appkey not set",
    IDLE_TIMEOUT: "Gateway:IDLE_TIMEOUT:Websocket session is idle for too long time,"
    " the last directive is 'StartSynthesis'!",
    TOO_MANY_REQUESTS: "Gateway:TOO_MANY_REQUESTS:Too many requests!",
    BAD_CONTAINER: "Gateway:CLIENT_ERROR:Invalid wav header!",
    40000010: "Gateway:FREE_TRIAL_EXPIRED:The free trial has expired!",
    NAMESPACE_NOT_FOUND: "Gateway:NAMESPACE_NOT_FOUND:RESTful url path illegal!",
    UNSUPPORTED_DIRECTIVE: "Gateway:DIRECTIVE_UNSUPPORTED:unsupported directive",
    DIRECTIVE_INVALID: "Gateway:DIRECTIVE_INVALID:No text specified!",
    40010004: "Gateway:CLIENT_DISCONNECT:Client disconnected before task finished!",
    TASK_STATE: NOT_WORKING,
    APPKEY_NOT_EXIST: "Meta:APPKEY_NOT_EXIST:Appkey not exist!",
    40020106: "Meta:APPKEY_UID_MISMATCH:Appkey and user mismatch!",
    40270001: "unsupported audio format",
    40270002: "NO_VALID_AUDIO_ERROR",
    40270003: "DECODER_ERROR",
    40270004: "no valid audio stream",
    40270006: "file download failed",
    UNSUPPORTED_FORMAT: "UNSUPPORTED_FORMAT",
    UNSUPPORTED_SAMPLE_RATE: "UNSUPPORTED_SAMPLE_RATE",
    TOO_LONG_SPEECH: "TOO_LONG_SPEECH",
    TTS_CLIENT_ERROR: "TTS:TtsClientError:[tts]Engine return error code: 413",
    NO_CLIENT_DATA: "Realtime:GET_CLIENT_DATA_TIMEOUT:Client data does not send continuously!",
    TOO_FAST: "client sends too fast, server resources exhausted",
    BAD_MAX_SILENCE: "MAXSILENCE 200..6000",
    SERVER_ERROR: "Gateway:SERVER_ERROR:Server error!",
    50000001: "Gateway:GRPC_ERROR:Grpc error!",
    50020003: "Meta:ROUTE_GROUP_NOT_FOUND:Route group 'default' not found!",
    TTS_SERVER_ERROR: "TTS:TtsServerError:[flow]Instance pool exhausted!",
    ASR_SERVER_ERROR: "Realtime:SERVER_ERROR:Instance pool exhausted!",
    52010001: "Gateway:GRPC_ERROR:Grpc error!",
}


class Refusal(Exception):
    """The service says no: a TaskFailed event on WebSocket, a JSON error over REST.

    Parameters
    ----------
    status
        The 8-digit code.
    text
        Its text; the usual one of `TEXTS` when left out.
    http
        The HTTP status over REST, when it is not 400 or 500 by the code's first digit.
    """

    def __init__(self, status: int, text: str = "", *, http: int = 0) -> None:
        self.status = status
        self.text = text or TEXTS.get(status, "")
        self.http = http or (500 if status >= SERVER_ERROR else 400)
        super().__init__(f"{status} {self.text}")


def not_built(what: str) -> Refusal:
    """What the real service offers and this one does not: refused, never quietly ignored (HTTP 501)."""
    return Refusal(UNSUPPORTED_DIRECTIVE, f"Localcloud:NOT_IMPLEMENTED:{what} is not built in localcloud", http=501)


def invalid(what: str) -> Refusal:
    """A parameter that the service does not take."""
    return Refusal(PARAMETER_INVALID, f"Gateway:PARAMETER_INVALID:{what}")
