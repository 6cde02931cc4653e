"""SSML: what is let through, how it is written, and everything that is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.prompts.ssml import ELEMENTS, MAX_DEPTH, MAX_ELEMENTS, parse
from isikit.errors import Unspeakable


def codes(text: str) -> set[str]:
    with pytest.raises(Unspeakable) as refused:
        parse(text)
    assert {error.field for error in refused.value.errors} == {"ssml"}
    return {error.code for error in refused.value.errors}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<speak>Hello</speak>", "<speak>Hello</speak>"),
        (" <speak >Hello</speak > ", "<speak>Hello</speak>"),
        ("<speak>a<break time='500ms'></break>b</speak>", '<speak>a<break time="500ms"/>b</speak>'),
        ("<speak>A &amp; B &lt; &#67;</speak>", "<speak>A &amp; B &lt; C</speak>"),
        ("<speak><![CDATA[a < b]]></speak>", "<speak>a &lt; b</speak>"),
        (
            '<speak><say-as interpret-as="digits">42</say-as><s>x</s></speak>',
            '<speak><say-as interpret-as="digits">42</say-as><s>x</s></speak>',
        ),
        ('<speak rate="100" pitch="-5">a</speak>', '<speak pitch="-5" rate="100">a</speak>'),
        (
            '<speak><sub alias="NLS &quot;x&quot;">n</sub></speak>',
            '<speak><sub alias="NLS &quot;x&quot;">n</sub></speak>',
        ),
        ('<speak><phoneme alphabet="py" ph="dian3">典</phoneme></speak>',) * 2,
        ("<speak>e\u0301\u200b\t\nx</speak>", "<speak>\u00e9 x</speak>"),
    ],
)
def test_it_is_rewritten_in_one_way(text: str, written: str) -> None:
    assert parse(text).text == written
    assert parse(written).text == written


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not_xml"),
        ("Hello", "not_xml"),
        ("<speak>Hello", "not_xml"),
        ("<speak>a</speak><speak>b</speak>", "not_xml"),
        ("<speak>a & b</speak>", "not_xml"),
        ("<speak>&nbsp;a</speak>", "not_xml"),
        ("<speak>a&#x0;</speak>", "not_xml"),
        ("<speak a='1' a='2'>a</speak>", "not_xml"),
        ('<?xml version="1.0"?><speak>a</speak>', "processing_instruction"),
        ("<?php x?><speak>a</speak>", "processing_instruction"),
        ("<speak>a<!-- b --></speak>", "comment"),
        ('<!DOCTYPE speak [<!ENTITY x "y">]><speak>&x;</speak>', "dtd"),
        ('<!DOCTYPE speak SYSTEM "file:///etc/passwd"><speak>a</speak>', "dtd"),
        ("<s>a</s>", "root"),
        ("<speak><speak>a</speak></speak>", "root"),
        ("<speak>a<audio/></speak>", "element"),
        ('<speak>a<soundEvent src="https://x.example/a.wav"/></speak>', "element"),
        ('<speak xmlns="http://www.w3.org/2001/10/synthesis">a</speak>', "attribute"),
        ('<speak bgm="https://x.example/a.wav">a</speak>', "attribute"),
        ('<speak voice="xiaogang">a</speak>', "attribute"),
        ('<speak encodeType="mp3">a</speak>', "attribute"),
        ('<speak sampleRate="8000">a</speak>', "attribute"),
        ('<speak rate="501">a</speak>', "attribute_value"),
        ('<speak rate="1e2">a</speak>', "attribute_value"),
        ('<speak volume="-1">a</speak>', "attribute_value"),
        ('<speak>a<break time="soon"/></speak>', "attribute_value"),
        ('<speak>a<break time="11s"/></speak>', "attribute_value"),
        ('<speak>a<break time="49ms"/></speak>', "attribute_value"),
        ('<speak><say-as interpret-as="song">a</say-as></speak>', "attribute_value"),
        ('<speak><sub alias="http://x.example/">a</sub></speak>', "attribute_value"),
        ('<speak><sub alias="http:/&#8203;/x.example/">a</sub></speak>', "attribute_value"),
        ('<speak><sub alias="&#8203;">a</sub></speak>', "attribute_value"),
        ("<speak><say-as>a</say-as></speak>", "attribute_missing"),
        ("<speak><sub>a</sub></speak>", "attribute_missing"),
        ("<speak>" + '<break time="6s"/>' * 2 + "a</speak>", "breaks_too_long"),
        ("<speak>" + "<s>" * MAX_DEPTH + "a" + "</s>" * MAX_DEPTH + "</speak>", "too_deep"),
        ("<speak>a" + "<s/>" * MAX_ELEMENTS + "</speak>", "too_many_elements"),
        ("<speak>" + "a" * 301 + "</speak>", "too_long"),
        ("<speak>" + " " * 20_000 + "a</speak>", "too_long"),
        ("<speak></speak>", "nothing_to_speak"),
        ("<speak><break time='1s'/>…</speak>", "nothing_to_speak"),
        ("<speak>a\x01</speak>", "control_character"),
        ("<speak>a&#x85;</speak>", "control_character"),
        ("<speak>a\ud800</speak>", "lone_surrogate"),
        ("<speak rate='1\x00'>a</speak>", "control_character"),
    ],
)
def test_everything_else_is_refused_with_the_reason(text: str, code: str) -> None:
    assert code in codes(text)


def test_all_mistakes_are_told_at_once() -> None:
    text = '<speak bgm="x" rate="999"><audio/><say-as>…</say-as></speak>'
    assert codes(text) == {"attribute", "attribute_value", "element", "attribute_missing", "nothing_to_speak"}


def test_tags_do_not_count_as_characters() -> None:
    parse("<speak>" + "<s>" + "a" * 298 + '<break time="1s"/>' + "</s>bc</speak>")


def test_the_alias_is_what_is_spoken() -> None:
    assert parse('<speak><sub alias="and">&amp;</sub></speak>').text


def test_emotions_are_noticed() -> None:
    assert parse('<speak><emotion category="happy" intensity="1.5">a</emotion></speak>').has_emotion
    assert not parse("<speak>a</speak>").has_emotion


MARKUP = st.lists(
    st.sampled_from(
        ["<speak>", "</speak>", "<s>", "</s>", '<break time="1s"/>', "a", "好", "&amp;", "<", "<!", "\x00", "é"]
    ),
    max_size=30,
).map("".join)


@given(MARKUP | MARKUP.map(lambda inner: f"<speak>{inner}</speak>"))
def test_what_is_let_through_is_let_through_again_unchanged(text: str) -> None:
    try:
        written = parse(text).text
    except Unspeakable:
        return
    assert parse(written).text == written
    assert written.startswith("<speak>") and written.endswith("</speak>")


def test_nothing_that_can_fetch_is_on_the_list() -> None:
    named = {name.lower() for attributes in ELEMENTS.values() for name in attributes} | {n.lower() for n in ELEMENTS}
    assert not named & {
        "src",
        "bgm",
        "backgroundmusicvolume",
        "soundevent",
        "audio",
        "voice",
        "encodetype",
        "samplerate",
    }
