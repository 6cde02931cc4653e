"""Sockets on 127.0.0.1: fixed from a base, or free ones."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"
ORDER = ("gateway", "fc", "oss", "nls", "pop", "sls", "admin", "token", "tts", "asr")
FUNCTIONS = ("token", "tts", "asr")


class PortTaken(RuntimeError):
    """A port is in use; the message names it and says what to do."""


def bind_all(port_base: int | None) -> dict[str, socket.socket]:
    """Bind a socket per service, `port_base` + its place in `ORDER`, or any free port.

    They are bound at once, so that addresses are known before anything starts and nobody takes them in between.

    Raises
    ------
    PortTaken
        For the first port that is in use; nothing stays bound.
    """
    sockets: dict[str, socket.socket] = {}
    try:
        for place, name in enumerate(ORDER):
            sockets[name] = _bind(name, 0 if port_base is None else port_base + place)
    except BaseException:
        close_all(sockets)
        raise
    return sockets


def close_all(sockets: dict[str, socket.socket]) -> None:
    """Close what is left open."""
    for bound in sockets.values():
        bound.close()


def url(bound: socket.socket, scheme: str = "http") -> str:
    """The URL of a bound socket, without a slash at the end."""
    return f"{scheme}://{HOST}:{bound.getsockname()[1]}"


def bind_again(port: int) -> socket.socket | None:
    """Bind a port that was given up earlier; `None` when something listens on it."""
    try:
        return _bind("a function", port)
    except PortTaken:
        return None


def _bind(name: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise PortTaken(f"port {port} for {name} does not exist; choose a --port-base up to {65535 - len(ORDER) + 1}")
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for TIME_WAIT
    try:
        bound.bind((HOST, port))
    except OSError as error:
        bound.close()
        raise PortTaken(
            f"port {port} of {HOST} (for {name}) is taken; choose other ports with --port-base N, or leave it out"
        ) from error
    return bound
