"""An API-Gateway client leases a token and speaks with the official SDK."""

from __future__ import annotations

import oss2
import pytest
import requests

from ops.demo import lease
from support.lease_tenants import FOREIGN_ORIGIN, ORIGIN, OTHER_ORIGIN, bucket_of, key_of
from support.local_cloud import Local

pytestmark = pytest.mark.xdist_group("e2e")


def test_a_lease_lets_the_unmodified_sdk_speak(local: Local) -> None:
    answer = local.post("/v1/token", json={"use": "tts"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    granted = answer.json()
    promised = "token expires_at expires_in refresh_at refresh_in appkey start_params tenant region endpoints"
    assert set(granted) == set(promised.split())
    assert 600 <= granted["refresh_in"] < granted["expires_in"]
    assert len(lease.speak(granted, "Hello from the desk.")) > 16000


def test_many_leases_cost_one_token(local: Local) -> None:
    before = local.counters().get("pop.CreateToken", 0)
    assert len({local.post("/v1/token").json()["token"] for _ in range(5)}) == 1
    assert local.counters()["pop.CreateToken"] <= before + 1


def test_an_unknown_field_or_use_is_told(local: Local) -> None:
    answer = local.post("/v1/token", json={"use": "everything", "scope": 1})
    assert answer.status_code == 400
    assert {"use", "scope"} <= {error["field"] for error in answer.json()["errors"]}


def test_without_a_key_there_is_no_lease(local: Local) -> None:
    assert local.post("/v1/token", headers={}).status_code == 401


def test_a_tenant_s_rate_is_held_and_told(local: Local) -> None:
    answers = [local.post("/v1/token", headers=key_of("limited")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert (answers[2].json()["code"], int(answers[2].headers["Retry-After"]) > 0) == ("limit.rate", True)


def test_a_tenant_without_leave_gets_no_lease(local: Local) -> None:
    answer = local.post("/v1/token", headers=key_of("desk"))
    assert (answer.status_code, answer.json()["code"]) == (403, "lease.not_allowed")


def test_a_tenant_with_a_role_speaks_with_a_token_of_the_role_s_account(local: Local) -> None:
    own = local.post("/v1/token", headers=key_of("web")).json()
    before = local.counters()
    answers = [local.post("/v1/token", headers=key_of("apart"), json={"use": "tts"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200], answers[0].text
    assert len({answer.json()["token"] for answer in answers} | {own["token"]}) == 2
    calls = {name: local.counters()[name] - before.get(name, 0) for name in ("pop.AssumeRole", "pop.CreateToken")}
    assert calls == {"pop.AssumeRole": 1, "pop.CreateToken": 1}
    state = bucket_of(local, local.config["oss"]["buckets"]["state"])
    kept = {found.key.split("/")[1] for found in oss2.ObjectIterator(state, prefix="tokens/")}
    assert {"own", "role-6543210987654321-leases"} <= kept
    assert len(lease.speak(answers[0].json(), "Hello from the other account.")) > 16000


def test_a_page_asks_first_and_gets_an_answer_it_may_read(local: Local) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    leave = requests.options(local.config["gateway"] + "/v1/token", headers=asked, timeout=20)
    assert (leave.status_code, leave.headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
    answer = local.post("/v1/token", headers={**key_of("web"), "Origin": ORIGIN})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)


def test_a_foreign_page_gets_nothing_though_the_platform_reflects_its_origin(local: Local) -> None:
    asked = {"Origin": FOREIGN_ORIGIN, "Access-Control-Request-Method": "POST"}
    assert requests.options(local.config["gateway"] + "/v1/token", headers=asked, timeout=20).status_code == 403
    for origin in (FOREIGN_ORIGIN, OTHER_ORIGIN):
        answer = local.post("/v1/token", headers={**key_of("web"), "Origin": origin})
        assert (answer.status_code, answer.json()["code"]) == (403, "identity.origin")
        assert "token" not in answer.json()
        assert answer.headers["Access-Control-Allow-Origin"] == origin  # Function Compute's own doing
