"""CORS rules of a bucket (help.aliyun.com/en/oss/developer-reference/putbucketcors and .../optionobject)."""

from __future__ import annotations

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest
import requests
from oss2.models import BucketCors, CorsRule

from .conftest import BUCKET, Server
from .test_form_upload import form
from .test_objects import refusal
from .test_signatures import answer

PAGE = "https://app.example.com"


@pytest.fixture
def ruled(bucket: oss2.Bucket) -> oss2.Bucket:
    rule = CorsRule(["https://*.example.com"], ["POST", "GET"], ["x-oss-*", "content-type"], ["ETag"], 60)
    bucket.put_bucket_cors(BucketCors([rule]))
    return bucket


def preflight(server: Server, origin: str = PAGE, method: str = "POST", headers: str = "") -> requests.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return requests.options(f"{server.endpoint}/{BUCKET}/k", headers=asked, timeout=10)


def test_rules_are_put_read_and_removed(server: Server, bucket: oss2.Bucket) -> None:
    assert refusal(bucket.get_bucket_cors) == (404, "NoSuchCORSConfiguration")
    bucket.put_bucket_cors(BucketCors([CorsRule(["*"], ["GET"], ["*"], ["ETag", "x-oss-request-id"], 0)]))
    (rule,) = bucket.get_bucket_cors().rules
    assert (rule.allowed_origins, rule.allowed_methods, rule.allowed_headers) == (["*"], ["GET"], ["*"])
    assert (rule.expose_headers, rule.max_age_seconds) == (["ETag", "x-oss-request-id"], 0)
    found = server.client_v2().get_bucket_cors(oss_v2.GetBucketCorsRequest(bucket=BUCKET))
    assert found.cors_configuration.cors_rules[0].allowed_origins == ["*"]
    assert bucket.delete_bucket_cors().status == 204
    assert refusal(bucket.get_bucket_cors) == (404, "NoSuchCORSConfiguration")


def test_a_preflight_is_answered_by_the_first_rule_that_fits(server: Server, ruled: oss2.Bucket) -> None:
    response = preflight(server, headers="X-Oss-Meta-A, Content-Type")
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert response.headers["Access-Control-Allow-Methods"] == "POST, GET"
    assert response.headers["Access-Control-Allow-Headers"] == "x-oss-meta-a, content-type"
    assert (response.headers["Access-Control-Max-Age"], response.headers["Vary"]) == ("60", "Origin")
    for other in ({"origin": "https://example.org"}, {"method": "DELETE"}, {"headers": "authorization"}):
        assert answer(preflight(server, **other)) == (403, "AccessForbidden")


def test_without_rules_a_preflight_is_refused(server: Server, bucket: oss2.Bucket) -> None:
    assert answer(preflight(server)) == (403, "AccessForbidden")
    assert answer(requests.options(f"{server.endpoint}/{BUCKET}/k", timeout=10)) == (400, "MissingArgument")


def test_answers_and_refusals_carry_the_headers(server: Server, ruled: oss2.Bucket) -> None:
    assert "Access-Control-Allow-Origin" not in form(server).headers
    url = ruled.sign_url("GET", "k", 60)
    for origin, allowed in ((PAGE, PAGE), ("https://example.org", None)):
        response = requests.get(url, headers={"Origin": origin}, timeout=10)
        assert response.status_code == 404
        assert response.headers.get("Access-Control-Allow-Origin") == allowed
    assert response.headers.get("Access-Control-Expose-Headers") is None


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "<CORSRule/>",
        "<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>",
        "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>PATCH</AllowedMethod></CORSRule>",
        "<CORSRule><AllowedOrigin>*a*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>",
    ],
)
def test_a_document_without_rules_is_malformed(bucket: oss2.Bucket, rule: str) -> None:
    body = f"<CORSConfiguration>{rule}</CORSConfiguration>"
    assert refusal(bucket._do, "PUT", BUCKET, "", params={"cors": ""}, data=body) == (400, "MalformedXML")
