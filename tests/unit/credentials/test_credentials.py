"""The latest request's credentials, whole or not at all."""

from __future__ import annotations

import threading

import oss2
import pytest

from isikit.credentials import Credentials, StsCredentials
from isikit.errors import ConfigError

ENV = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.env",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "env-secret",
    "ALIBABA_CLOUD_SECURITY_TOKEN": "env-token",
}


def _headers(name: str) -> dict[str, str]:
    return {
        "x-fc-access-key-id": f"STS.{name}",
        "x-fc-access-key-secret": f"{name}-secret",
        "x-fc-security-token": f"{name}-token",
    }


def test_before_the_first_request_the_environment_counts() -> None:
    assert Credentials(ENV).current() == StsCredentials("STS.env", "env-secret", "env-token")


def test_a_request_replaces_them_and_the_next_one_again() -> None:
    credentials = Credentials(ENV)
    credentials.update(_headers("one"))
    assert credentials.current() == StsCredentials("STS.one", "one-secret", "one-token")
    credentials.update(_headers("two"))
    assert credentials.current() == StsCredentials("STS.two", "two-secret", "two-token")


@pytest.mark.parametrize(
    "headers", [{}, {"x-fc-access-key-id": "STS.half"}, {"x-fc-access-key-secret": "x", "x-fc-security-token": "y"}]
)
def test_an_incomplete_set_changes_nothing(headers: dict[str, str]) -> None:
    credentials = Credentials({})
    credentials.update(_headers("one"))
    credentials.update(headers)
    assert credentials.current().access_key_id == "STS.one"


def test_a_function_without_a_role_is_told_so() -> None:
    with pytest.raises(ConfigError) as raised:
        Credentials({}).current()
    assert raised.value.code == "credentials.missing"


def test_the_environment_is_read_when_asked_and_a_key_without_a_token_will_do() -> None:
    env = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "a", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "b"}
    assert Credentials(env).current() == StsCredentials("a", "b", "")


def test_nothing_of_them_is_shown() -> None:
    credentials = Credentials(ENV)
    shown = f"{credentials} {credentials!r} {credentials.current()} {[credentials.current()]!r}"
    assert not [secret for secret in ENV.values() if secret in shown]


def test_oss2_signs_every_request_with_the_current_ones() -> None:
    credentials = Credentials(ENV)
    endpoint = "https://oss-cn-beijing.aliyuncs.com"
    bucket = oss2.Bucket(oss2.ProviderAuthV4(credentials), endpoint, "prompts", region="cn-beijing")
    credentials.update(_headers("one"))
    assert "STS.one" in bucket.sign_url("GET", "k", 60)
    credentials.update(_headers("two"))
    assert "STS.two" in bucket.sign_url("GET", "k", 60)


def test_readers_in_other_threads_never_see_a_mixture() -> None:
    credentials = Credentials({})
    credentials.update(_headers("0"))
    stop = threading.Event()
    mixed: list[StsCredentials] = []

    def read() -> None:
        while not stop.is_set():
            one = credentials.current()
            name = one.access_key_id.removeprefix("STS.")
            if one != StsCredentials(f"STS.{name}", f"{name}-secret", f"{name}-token"):
                mixed.append(one)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(2000):
        credentials.update(_headers(str(number)))
    stop.set()
    for reader in readers:
        reader.join()
    assert mixed == []
