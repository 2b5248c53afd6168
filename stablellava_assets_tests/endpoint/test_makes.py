"""Answers, errors and token counts in the forms in which servers of all makes send them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.requests import ChatOutcome, EndpointError
from stablellava_assets_tests.endpoint.questions import Echo, ask, priced, questions, settings_of
from stablellava_assets_tests.fakes.raw_server import Sent, completion, raw_server

ANSWER = '{"text": "well"}'


def asked(tmp_path: Path, *sent: Sent, count: int = 1, **changes: Any) -> tuple[list[ChatOutcome], int]:
    """What becomes of requests whose responses are ``sent``, the last of them for all that follow; and how many
    came."""
    with raw_server(lambda body, number: sent[min(number, len(sent) - 1)]) as (url, bodies):
        quick = {"attempts": 2, "backoff_s": 0.01, "max_backoff_s": 0.02, "initial_in_flight": 1, "max_in_flight": 1}
        outcomes = ask(priced(tmp_path, url, **{**quick, **changes}), tmp_path, count)
    return outcomes, len(bodies)


def of_text(text: str) -> dict[str, Any]:
    return completion(text)


STREAM = (
    b": OPENROUTER PROCESSING\n\n"
    b'data: {"model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "{\\"text\\": "}}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {"content": "\\"well\\"}"}, "finish_reason": "stop"}]}\n\n'
    b'data: {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20}}\n\ndata: [DONE]\n\n'
)
TOOL_CALL = {"id": "t", "type": "function", "function": {"name": "answer", "arguments": ANSWER}}
ANSWERS: dict[str, Any] = {
    "parts": completion({"content": [{"type": "text", "text": '{"text": '}, {"type": "text", "text": '"well"}'}]}),
    "bare parts": completion({"content": ['{"text": ', '"well"}']}),
    "thoughts as parts": completion(
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": '{"text": "a draft"}'}]},
                {"type": "text", "text": ANSWER},
            ]
        }
    ),
    "an object for the content": completion({"content": {"text": "well"}}),
    "thoughts without their beginning": of_text(f'keys like {{"text": "a draft"}} are fine...</think>\n\n{ANSWER}'),
    "thoughts with both ends": of_text(f'<think>{{"text": "a draft"}}</think>{ANSWER}'),
    "thoughts by another name": of_text(f'<thinking>{{"text": "a draft"}}</thinking>\n{ANSWER}'),
    "a fence, and a sentence with braces": of_text(
        f"```json\n{ANSWER}\n```\nThe braces {{ }} mark an object {{like this}}."
    ),
    "a draft, then what is meant": of_text(f'First {{"text": "a draft"}}, better: {ANSWER}'),
    "prose around it": of_text(f"Sure! Here it is:\n{ANSWER}\nAnything else?"),
    "twice": of_text(f"{ANSWER}\n{ANSWER}"),
    "under a key of its own": of_text(f'{{"answer": {ANSWER}}}'),
    "a list of one": of_text(f"[{ANSWER}]"),
    "a line break inside": of_text('Here: {"text":\n"well"}'),
    "beside the thoughts": completion({"content": ANSWER, "reasoning_content": '{"text": "a draft"}'}),
    "filed under the thoughts": completion({"content": None, "reasoning_content": ANSWER}),
    "filed under the thoughts, as vLLM calls them now": completion({"content": "", "reasoning": ANSWER}),
    "behind thoughts that were not split off": completion({"content": None, "reasoning": f"so so</think>{ANSWER}"}),
    "a tool's arguments": completion({"content": None, "tool_calls": [TOOL_CALL]}, finish="tool_calls"),
    "a text in the choice": {"choices": [{"text": ANSWER, "finish_reason": "stop"}]},
    "fields left out": {"choices": [{"message": {"content": ANSWER}}]},
    "fields that are null": completion(
        {"content": ANSWER, "refusal": None, "tool_calls": None}, finish=None, model=None, usage=None, error=None
    ),
    "an ending by another name": completion(ANSWER, finish="end_turn"),
    "an ending that is an object": completion(ANSWER, finish={"type": "stop", "matched": 2}),
    "a stream": STREAM,
    "thoughts of several beginnings": of_text(
        f'<think>{{"text": "a"}}</think>hm<think>{{"text": "b"}}</think>{ANSWER}'
    ),
    "thoughts after the answer": of_text(f'{ANSWER}<think>is {{"text": "a draft"}} better?</think>'),
    "thoughts as Mistral marks them": of_text(f'[THINK]{{"text": "a draft"}}[/THINK]{ANSWER}'),
    "thoughts in channels": of_text(
        '<|channel|>analysis<|message|>{"text": "a '
        f'draft"}}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}'
    ),
    "all of it between the marks of thoughts": of_text(f"<think>{ANSWER}</think>"),
    "a comma too many": of_text('```json\n{"text": "well",}\n```'),
    "comments": of_text('{/* as asked */ "text": "well" // so\n}'),
    "JSON of JSON": of_text(json.dumps(ANSWER)),
    "a stream whose parts are texts": (
        b'data: {"choices": [{"delta": "{\\"text\\": \\"well\\"}"}]}\n\ndata: [DONE]\n\n'
    ),
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(of_text(ANSWER)).encode(),
    "blank lines before it": b"\n\n  \n" + json.dumps(of_text(ANSWER)).encode(),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_wherever_it_stands(tmp_path: Path, name: str) -> None:
    (outcome,), sent = asked(tmp_path, (200, ANSWERS[name]))
    assert (outcome.status, outcome.answer, sent) == ("made", Echo(text="well"), 1), outcome.reason


UNANSWERED: dict[str, Any] = {
    "thoughts without an end": '<think>perhaps {"text": "a draft"}, but',
    "an answer that is none behind thoughts": '[THINK]{"text": "a draft"}[/THINK]I do not know.',
    "thoughts in a channel, and no other": '<|channel|>analysis<|message|>{"text": "a draft"} hm<|end|>',
}


@pytest.mark.parametrize("name", UNANSWERED)
def test_a_draft_among_thoughts_is_no_answer(tmp_path: Path, name: str) -> None:
    (outcome,), _ = asked(tmp_path, (200, of_text(UNANSWERED[name])))
    assert (outcome.status, outcome.fault) == ("failed", "setting")
    (tmp_path / "mended").mkdir()
    (outcome,), sent = asked(tmp_path / "mended", (200, of_text(UNANSWERED[name])), (200, of_text(ANSWER)))
    assert (outcome.answer, sent) == (Echo(text="well"), 2)


@pytest.mark.parametrize("text", ['<think>perhaps {"text": "a draft"}, but', '<think>{"text": "a draft"}</think>'])
def test_thoughts_that_used_up_the_tokens_are_no_answer(tmp_path: Path, text: str) -> None:
    (outcome,), sent = asked(tmp_path, (200, completion(text, finish="length")))
    assert (outcome.status, outcome.fault, sent) == ("failed", "setting", 1)
    assert "spent on thinking" in str(outcome.reason)


def test_commas_and_slashes_inside_texts_stay(tmp_path: Path) -> None:
    (outcome,), _ = asked(tmp_path, (200, of_text('{"text": "a // b, } /* c */ \\" ,]",}')))
    assert outcome.answer == Echo(text='a // b, } /* c */ " ,]')


def test_a_refusal_among_the_parts_is_one(tmp_path: Path) -> None:
    (outcome,), sent = asked(tmp_path, (200, completion({"content": [{"type": "refusal", "refusal": "I cannot"}]})))
    assert (outcome.status, outcome.fault, outcome.reason, sent) == ("failed", "row", "refused: I cannot", 1)


def test_json_is_utf_8_whatever_the_header_says(tmp_path: Path) -> None:
    body = json.dumps(of_text('{"text": "Größe"}'), ensure_ascii=False).encode()
    (outcome,), _ = asked(tmp_path, (200, body, {"Content-Type": "text/plain; charset=iso-8859-1"}))
    assert outcome.answer == Echo(text="Größe")


@pytest.mark.parametrize(
    ("usage", "prompt", "completed"),
    [
        ({"prompt_tokens": 100.0, "completion_tokens": "20"}, 100, 20),
        ({"prompt_tokens": "100", "completion_tokens": "20.0"}, 100, 20),
        ({"input_tokens": 100, "output_tokens": 20}, 100, 20),
        ({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 120}, 100, 20),
        ({"prompt_tokens": 100, "total_tokens": 120}, 100, 20),
        ({"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": None}, 100, 20),
        ({"prompt_tokens": None, "completion_tokens": None}, None, None),
        ({"prompt_tokens": True, "completion_tokens": -1}, None, None),
        ([], None, None),
        ("none", None, None),
    ],
)
def test_token_counts_are_read_as_numbers_of_any_kind(
    tmp_path: Path, usage: Any, prompt: int | None, completed: int | None
) -> None:
    (outcome,), _ = asked(tmp_path, (200, completion(ANSWER, usage=usage)))
    assert (outcome.status, outcome.prompt_tokens, outcome.completion_tokens) == ("made", prompt, completed)
    assert outcome.cost_usd == (None if prompt is None else Decimal("0.0003"))


@pytest.mark.parametrize("finish", ["length", "MAX_TOKENS", "max_tokens", "model_length"])
def test_an_answer_that_is_cut_off_blames_a_setting(tmp_path: Path, finish: str) -> None:
    message = {"content": None, "reasoning_content": '{"text": "not yet'}
    (outcome,), sent = asked(tmp_path, (200, completion(message, finish=finish)))
    assert (outcome.status, outcome.fault, sent) == ("failed", "setting", 1)
    assert "cut off" in str(outcome.reason)
    assert "spent on thinking" in str(outcome.reason)


@pytest.mark.parametrize("finish", ["content_filter", "SAFETY", "PROHIBITED_CONTENT", "sensitive"])
def test_what_a_filter_withholds_is_the_requests_own_fault(tmp_path: Path, finish: str) -> None:
    (outcome,), sent = asked(tmp_path, (200, completion({"content": None}, finish=finish)))
    assert (outcome.status, outcome.fault, sent) == ("failed", "row", 1)


UPSTREAM = {"code": 502, "message": "Upstream provider error"}
GIVEN_UP: dict[str, Any] = {
    "an error and no choices": {"error": {"code": 502, "message": "Upstream provider error"}},
    "an error as text": {"error": "Upstream provider error"},
    "an error with an empty list": {"error": UPSTREAM, "choices": []},
    "an error in the choice": {
        "choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "error", "error": UPSTREAM}]
    },
    "an error after half an answer": {
        "choices": [{"message": {"content": '{"text": "we'}, "finish_reason": "error", "error": UPSTREAM}]
    },
    "an error in a list": [{"error": {"code": 503, "message": "Upstream provider error", "status": "UNAVAILABLE"}}],
    "an error as vLLM has it": {"object": "error", "message": "Upstream provider error", "type": "x", "code": 500},
    "an error in a stream": b'data: {"error": {"message": "Upstream provider error", "code": 502}}\n\n',
    "the ending alone": completion("", finish="insufficient_system_resource"),
    "an abort": completion({"content": ""}, finish="abort"),
}


@pytest.mark.parametrize("name", GIVEN_UP)
def test_a_passing_fault_inside_a_success_is_tried_again_and_not_paid(tmp_path: Path, name: str) -> None:
    (outcome,), sent = asked(tmp_path, (200, GIVEN_UP[name]), (200, of_text(ANSWER)))
    assert (outcome.status, sent) == ("made", 2), outcome.reason
    assert outcome.cost_usd == (Decimal("0.0003"))


@pytest.mark.parametrize("name", [name for name in GIVEN_UP if "ending" not in name and "abort" not in name])
def test_the_words_of_a_fault_inside_a_success_are_told(tmp_path: Path, name: str) -> None:
    (outcome,), _ = asked(tmp_path, (200, GIVEN_UP[name]))
    assert (outcome.status, outcome.fault) == ("deferred", "endpoint")
    assert "Upstream provider error" in str(outcome.reason)


PAGE = (
    b"<!DOCTYPE html><html><head><title>502 Bad"
    b" Gateway</title><style>x{}</style></head><body><h1>nginx</h1></body></html>"
)
WORDS: list[tuple[Any, str]] = [
    (
        {"error": {"message": "no such field", "type": "invalid_request_error", "param": None, "code": None}},
        "no such field",
    ),
    ({"error": "no such field"}, "no such field"),
    ({"error": ["no such field", "nor that"]}, "no such field; nor that"),
    ({"error": {"errors": [{"message": "no such field"}]}}, "no such field"),
    ({"errors": [{"message": "no such field"}]}, "no such field"),
    ({"message": "no such field", "code": 20015, "data": None}, "no such field"),
    ({"msg": "no such field"}, "no such field"),
    ({"detail": "no such field"}, "no such field"),
    ({"detail": [{"loc": ["body", "seed"], "msg": "no such field", "type": "extra"}]}, "body.seed: no such field"),
    ({"detail": {"error": {"message": "no such field"}}}, "no such field"),
    ({"object": "error", "message": "no such field", "type": "BadRequestError", "code": 400}, "no such field"),
    ([{"error": {"code": 400, "message": "no such field", "status": "INVALID_ARGUMENT"}}], "no such field"),
    (
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": '{"detail": "no such field"}'},
            }
        },
        "Provider returned error: no such field",
    ),
    ({"error": "invalid_request", "message": "no such field"}, "invalid_request: no such field"),
    (PAGE, "a web page: 502 Bad Gateway nginx"),
    (b"no such field\n", "no such field"),
    (b"", "no reason given"),
    (b"null", "null"),
]


@pytest.mark.parametrize(("body", "words"), WORDS, ids=range(len(WORDS)))
@pytest.mark.parametrize("status", [400, 422, 503])
def test_the_endpoints_own_words_are_in_the_reason(tmp_path: Path, body: Any, words: str, status: int) -> None:
    if status == 503:
        (outcome,), _ = asked(tmp_path, (status, body))
        assert (outcome.status, outcome.fault) == ("deferred", "endpoint")
        assert "HTTP 503: " in str(outcome.reason)
        assert words in str(outcome.reason)
    else:
        with pytest.raises(EndpointError, match="refuses every request") as raised:
            asked(tmp_path, (status, body))
        assert words in str(raised.value)
        assert "structured_output" in str(raised.value)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            402,
            {"error": {"message": "Insufficient Balance", "code": "invalid_request_error"}},
            "no credit left.*Insufficient Bal",
        ),
        (
            429,
            {"error": {"message": "You exceeded it", "code": "insufficient_quota"}},
            "no credit left.*You exceeded it",
        ),
        (400, {"error": {"message": "Your credit balance is too low"}}, "no credit left"),
        (200, {"error": {"message": "Insufficient credits", "code": 402}}, "no credit left.*Insufficient credits"),
        (
            401,
            {"error": {"message": "Bad token"}},
            "HTTP 401: Bad token: the key is not accepted; check .* OPENAI_API_KEY",
        ),
        (200, {"error": {"message": "Bad token", "code": 401}}, "Bad token: the key is not accepted"),
        (
            403,
            {"error": {"message": "No access"}},
            "HTTP 403: No access.*no access to model 'loopback'; check `model`, or OPENAI",
        ),
        (404, {"error": {"message": "model not found"}}, "HTTP 404: model not found.*check `model` or `base_url`"),
        (404, {"detail": "Not Found"}, "HTTP 404: Not Found.*check `model` or `base_url`"),
        (405, {"detail": "Method Not Allowed"}, "HTTP 405: Method Not Allowed.*check `base_url`"),
        (501, {"error": {"message": "not supported here"}}, "HTTP 501: not supported here"),
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid."}}],
            "the key is not accepted; check .* OPENAI_API_KEY",
        ),
        (403, {"error": {"message": "no", "code": "insufficient_user_quota"}}, "no credit left"),
        (200, {"error": "Insufficient credits"}, "no credit left"),
        (400, {"error": {"message": "Model Not Exist"}}, "no model 'loopback'.*check `model`"),
        (400, {"error": {"message": "x/y is not a valid model ID"}}, "no model 'loopback'.*check `model`"),
        (400, {"error": {"message": "Unknown parameter: 'moderation'.", "code": "unknown_parameter"}}, "extra_body"),
        (422, {"detail": [{"loc": ["body", "moderation"], "msg": "Extra inputs are not permitted"}]}, "extra_body"),
        (407, b"Proxy Authentication Required", "HTTP 407: Proxy Auth.*proxy requires"),
    ],
)
def test_what_no_request_survives_ends_the_call_with_the_endpoints_words(
    tmp_path: Path, status: int, body: Any, words: str
) -> None:
    with pytest.raises(EndpointError, match=words):
        asked(tmp_path, (status, body), count=3)


def test_a_redirection_says_where_to(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match=r"HTTP 307: redirected to https://elsewhere.example/v1.*check `base_url`"):
        asked(tmp_path, (307, b"", {"Location": "https://elsewhere.example/v1"}))


def test_an_endpoint_that_wants_a_key_where_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        EndpointError, match=r"Unauthorized: the endpoint requires a key; name its .* in `api_key_variable`"
    ):
        asked(tmp_path, (401, {"error": {"message": "Unauthorized"}}), api_key_variable=None)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, {"code": 403, "message": "The input was flagged", "metadata": {"reasons": ["violence"]}}),
        (400, {"code": "content_policy_violation", "message": "no"}),
        (
            400,
            {
                "code": "content_filter",
                "message": "The response was filtered due to Azure OpenAI's content management",
            },
        ),
        (400, {"code": "data_inspection_failed", "message": "Output data may contain inappropriate content."}),
        (451, {"message": "not here"}),
    ],
)
def test_a_request_that_moderation_turns_away_fails_by_itself(tmp_path: Path, status: int, error: Any) -> None:
    outcomes, sent = asked(tmp_path, (status, {"error": error}), (200, of_text(ANSWER)), count=3)
    assert sent == 3
    assert sorted((outcome.status, outcome.fault) for outcome in outcomes) == [
        ("failed", "row"),
        ("made", None),
        ("made", None),
    ]
    assert any(str(error["message"])[:20] in str(outcome.reason) for outcome in outcomes)
    (tmp_path / "alone").mkdir()
    (alone,), _ = asked(tmp_path / "alone", (status, {"error": error}))
    assert (alone.status, alone.fault) == ("failed", "row"), "also where nothing else was asked"


@pytest.mark.parametrize("status", [403, 404, 400, 413, 422])
def test_a_refusal_among_answers_is_that_of_its_request(tmp_path: Path, status: int) -> None:
    outcomes, _ = asked(tmp_path, (status, {"error": "not this one"}), (200, of_text(ANSWER)), count=4)
    found = sorted((outcome.status, outcome.fault) for outcome in outcomes)
    assert found == [("failed", "setting"), *[("made", None)] * 3]


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 524, 529])
def test_a_passing_fault_is_tried_again(tmp_path: Path, status: int) -> None:
    (outcome,), sent = asked(tmp_path, (status, {"error": {"message": "busy"}}), (200, of_text(ANSWER)))
    assert (outcome.status, sent) == ("made", 2)


@pytest.mark.parametrize("after", ["0.01", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", ""])
def test_whatever_stands_in_retry_after(tmp_path: Path, after: str) -> None:
    (outcome,), sent = asked(tmp_path, (429, {"error": "slow"}, {"Retry-After": after}), (200, of_text(ANSWER)))
    assert (outcome.status, sent) == ("made", 2)


def test_nothing_answered_of_few_requests_ends_the_call_and_names_the_settings(tmp_path: Path) -> None:
    refusal = (400, {"error": {"message": "'response_format.type' must be 'text'"}})
    with pytest.raises(EndpointError, match=r"'response_format.type' must be 'text'.*structured_output"):
        asked(tmp_path, refusal, count=2)


def test_a_refusal_alone_where_the_model_has_answered_before_is_asked_again(tmp_path: Path) -> None:
    odd = {"error": {"message": "cannot"}}
    with raw_server(lambda body, number: (400, odd) if "say 1" in str(body) else (200, of_text(ANSWER))) as (
        url,
        bodies,
    ):
        settings = settings_of(url, initial_in_flight=1, max_in_flight=1)
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        first, second = list(questions(settings, 2))
        assert [outcome.status for outcome in endpoint.ask([first])] == ["made"]
        (outcome,) = endpoint.ask([second])
        assert (outcome.status, outcome.fault) == ("deferred", "endpoint")
        assert [outcome.status for outcome in endpoint.ask([first, second])] == ["made", "failed"]
    assert len(bodies) == 3


def test_many_refusals_where_the_model_has_answered_before_do_not_end_the_call_at_once(tmp_path: Path) -> None:
    """As when a setting was changed, and only what had failed is asked for."""
    with raw_server(lambda body, number: (200, of_text(ANSWER)) if number == 0 else (400, {"error": "no"})) as (
        url,
        _,
    ):
        settings = settings_of(url, initial_in_flight=1, max_in_flight=1)
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        list(endpoint.ask(questions(settings, 1)))
        outcomes = list(endpoint.ask(list(questions(settings, 21))[1:]))
        assert {(outcome.status, outcome.fault) for outcome in outcomes} == {("deferred", "endpoint")}
        with pytest.raises(EndpointError, match="refuses every request"):
            list(endpoint.ask(questions(settings, 200, max_output_tokens=60)))


def test_a_pause_that_the_body_asks_for_is_kept(tmp_path: Path) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.3s"}]
    quota = [{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": details}}]
    began = monotonic()
    (outcome,), sent = asked(tmp_path, (429, quota), (200, of_text(ANSWER)), max_backoff_s=0.1)
    assert (outcome.status, sent) == ("made", 2)
    assert monotonic() - began > 0.3


def test_a_model_that_is_not_named_is_the_one_that_was_asked(tmp_path: Path) -> None:
    (outcome,), _ = asked(tmp_path, (200, completion(ANSWER, model=None)))
    assert outcome.model == "loopback"


def test_an_address_that_a_server_does_not_know_and_calls_a_success(tmp_path: Path) -> None:
    said = {"error": "Unexpected endpoint or method. (POST /chat/completions). Returning 200 anyway"}
    with pytest.raises(EndpointError, match=r"Unexpected endpoint.*check `model` or `base_url`"):
        asked(tmp_path, (200, said))


def test_a_page_in_place_of_an_answer_is_told(tmp_path: Path) -> None:
    (outcome,), sent = asked(tmp_path, (200, b"<html><body><h1>Sign in</h1> to the network</body></html>"))
    assert (outcome.status, sent) == ("deferred", 2)
    assert "the response is not JSON: a web page: Sign in to the network" in str(outcome.reason)
