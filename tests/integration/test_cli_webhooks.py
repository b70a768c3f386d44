"""Web servers that are told of changes, as an operator sets them up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.flows.scheduling.scheduler import FlowScheduler
from kamu_assets.node import Node, open_node
from kamu_assets.settings import load_settings
from tests.support.command_line import Home
from tests.support.manifests import pushed_root, reading
from tests.support.webhook_receiver import Answer, Receiver, webhook_receiver
from tests.support.webhook_signatures import verify_kamu
from tests.support.webhooks import Attempts, attempt

URL = "https://nobody.invalid/kamu"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A node with two datasets that may tell servers of this machine."""
    made = Home(tmp_path)
    manifests = (pushed_root(name, reading("id INT")) for name in ("cities", "rivers"))
    made.ok("add", made.write("all.yaml", "---\n".join(manifests)))
    made.ok("config", "set", "webhooks.allow_http", "true")
    made.ok("config", "set", "egress.allow", "127.0.0.1")
    return made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


def test_the_secret_is_shown_when_it_is_made_and_never_again(home: Home) -> None:
    made = home.json("webhook", "create", URL, "--dataset", "cities", "--label", "ops")
    secret = made["secret"]
    rotated = home.json("webhook", "rotate-secret", "ops")

    assert len(bytes.fromhex(secret)) == len(bytes.fromhex(rotated["secret"])) == 32
    assert rotated["secret"] != secret
    for words in (["list"], ["show", "ops"], ["pause", "ops"], ["deliveries", "ops"], ["update", "ops", "--url", URL]):
        for told in (home.ok("webhook", *words), home.ok("webhook", *words, "--json")):
            assert secret not in told
            assert rotated["secret"] not in told


def test_a_subscription_is_shown_with_all_but_its_secret(home: Home) -> None:
    made = home.json("webhook", "create", URL, "--dataset", "cities", "--label", "ops")

    shown = home.json("webhook", "show", made["id"])

    assert shown.pop("lastDelivery") is None
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (shown["dataset"], shown["targetUrl"], shown["label"]) == ("kamu/cities", URL, "ops")
    assert (shown["status"], shown["eventTypes"]) == ("ENABLED", ["DATASET.REF.UPDATED"])
    assert home.json("webhook", "list") == home.json("webhook", "list", "--dataset", "cities") == [shown]
    assert home.json("webhook", "list", "--dataset", "rivers") == []
    for_people = home.ok("webhook", "list")
    assert all(word in for_people for word in (made["id"], "ops", "kamu/cities", URL, "enabled"))


def test_states_change_as_they_should(home: Home) -> None:
    id_ = home.json("webhook", "create", URL, "--dataset", "cities")["id"]

    assert home.json("webhook", "pause", id_)["status"] == "PAUSED"
    assert home.json("webhook", "resume", id_)["status"] == "ENABLED"
    refused = home.run("webhook", "reactivate", id_)
    assert (refused.code, refused.out) == (1, "")
    assert "Reactivating webhook subscription is unexpected at this state" in refused.told
    changed = home.json("webhook", "update", id_, "--label", "renamed", "--url", f"{URL}/other")
    assert (changed["label"], changed["targetUrl"]) == ("renamed", f"{URL}/other")
    assert home.json("webhook", "remove", "renamed") == {"id": id_, "result": "removed"}
    assert home.run("webhook", "remove", id_).code == 1


def test_all_datasets_can_be_subscribed(home: Home) -> None:
    made = home.json("webhook", "create", URL, "--all-datasets", "--label", "all")

    assert (made["dataset"], made["datasetId"]) == (None, None)
    assert "all datasets" in home.ok("webhook", "list")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ftp://hooks.example.org/", "--dataset", "cities"], "Webhook target should use https://"),
        (["https://10.0.0.1/", "--dataset", "cities"], "`kamu-node config set egress.allow <address>`"),
        (["nonsense", "--dataset", "cities"], "is not a URL"),
        ([URL, "--dataset", "nope"], "dataset nope does not exist"),
        ([URL, "--dataset", "cities", "--event", "NO.SUCH"], 'Must be one of: "DATASET.REF.UPDATED"'),
        ([URL, "--dataset", "cities", "--label", "x" * 101], "at most 100 characters"),
        ([URL, "--dataset", "cities", "--label", "taken"], "Label 'taken' is not unique"),
    ],
)
def test_what_is_wrong_is_told(home: Home, words: list[str], said: str) -> None:
    home.ok("webhook", "create", URL, "--dataset", "cities", "--label", "taken")

    refused = home.run("webhook", "create", *words)

    assert (refused.code, refused.out) == (1, "")
    assert said in refused.told
    assert len(home.json("webhook", "list")) == 1


def test_plain_http_is_refused_where_nobody_allows_it(home: Home) -> None:
    home.ok("config", "unset", "webhooks.allow_http")

    refused = home.run("webhook", "create", "http://hooks.example.org/x", "--dataset", "cities")

    assert "should use https:// and should not point at a loopback address: http://hooks.example.org/x" in refused.told


@pytest.mark.parametrize("words", [[URL], [URL, "--dataset", "cities", "--all-datasets"]])
def test_what_makes_no_sense_is_told(home: Home, words: list[str]) -> None:
    assert "--dataset NAME, or --all-datasets" in home.misuse("webhook", "create", *words)


def test_a_label_that_two_have_names_neither(home: Home) -> None:
    for dataset in ("cities", "rivers"):
        home.ok("webhook", "create", URL, "--dataset", dataset, "--label", "ops")

    assert "2 subscriptions have the label 'ops'" in home.misuse("webhook", "show", "ops")


def test_a_test_says_how_it_went(home: Home, receiver: Receiver) -> None:
    made = home.json("webhook", "create", receiver.url, "--dataset", "cities", "--label", "ops")
    receiver.turns = [Answer(), Answer(status=500)]

    good = home.json("webhook", "test", "ops")
    bad = home.run("webhook", "test", "ops")

    assert (good["state"], good["responseStatus"], good["eventType"]) == ("DELIVERED", 200, "TEST")
    assert (bad.code, bad.out) == (1, "failed: The target answered 500\n")
    assert all(verify_kamu(request, made["secret"]) for request in receiver.received)
    history = home.json("webhook", "deliveries", "ops")
    assert [each["state"] for each in history] == ["FAILED", "DELIVERED"]
    assert home.json("webhook", "deliveries", "ops", "--limit", "1") == history[:1]
    assert "The target answered 500" in home.ok("webhook", "deliveries", "ops")
    shown = home.json("webhook", "show", "ops")
    assert (shown["consecutiveFailures"], shown["lastDelivery"]) == (0, history[0])
    assert f"message {history[0]['id']} of kamu/cities: failed, The target answered 500, attempt 1" in home.ok(
        "webhook", "show", "ops"
    )


def test_the_status_names_those_that_were_given_up(home: Home, receiver: Receiver) -> None:
    made = home.json("webhook", "create", receiver.url, "--dataset", "cities", "--label", "ops")
    receiver.usual = Answer(status=410)
    home.ok("ingest", "cities", home.write("rows.ndjson", '{"id": 1}\n'))
    with open_node(load_settings(home.path / "home")) as node:
        _deliver(node)

    told = json.loads(home.run("status", "--json").out)

    assert told["work"]["stoppedWebhooks"] == [
        {"id": made["id"], "name": "ops", "dataset": "kamu/cities", "failures": 1}
    ]
    said = "webhook ops of kamu/cities was given up after 1 failure(s)"
    assert f"{said}: `kamu-node webhook reactivate {made['id']}` tries again" in home.run("status").out
    assert home.json("webhook", "reactivate", "ops")["status"] == "ENABLED"
    assert json.loads(home.run("status", "--json").out)["work"]["stoppedWebhooks"] == []


def test_what_is_pushed_is_told(home: Home, receiver: Receiver) -> None:
    made = home.json("webhook", "create", receiver.url, "--dataset", "cities")
    with open_node(load_settings(home.path / "home")) as node:
        _deliver(node)
    home.ok("ingest", "cities", home.write("rows.ndjson", '{"id": 1}\n'))

    with open_node(load_settings(home.path / "home")) as node:
        _deliver(node)

    [told] = home.json("webhook", "deliveries", made["id"])
    [request] = receiver.received
    assert (told["state"], told["newHash"]) == ("DELIVERED", request.json["new_hash"])
    assert told["id"] == request.headers["x-webhook-delivery-id"]
    [flow] = home.json("flow", "list", "--webhook", made["id"])
    assert (flow["flowId"], flow["type"], flow["dataset"]) == (told["flowId"], "WEBHOOK_DELIVER", "kamu/cities")
    assert flow["webhook"] == {"id": made["id"], "label": "", "targetUrl": receiver.url}
    assert (flow["outcome"]["kind"], flow["causes"][0]["kind"]) == ("SUCCESS", "INPUT_UPDATED")
    assert f"kamu/cities -> {receiver.url}" in home.ok("flow", "list")
    shown = home.ok("flow", "show", str(told["flowId"]))
    assert "1 message got there, the last answer was 200" in shown
    line = f"message {told['id']} of kamu/cities, head {told['newHash']}: delivered, the target answered 200, attempt 1"
    assert line in shown
    assert home.json("flow", "show", str(told["flowId"]))["deliveries"] == [told]
    assert [each["webhook"] for each in home.json("process", "list")] == [{"id": made["id"], "name": receiver.url}]


def test_receivers_are_told_how_to_check_what_they_get(home: Home, receiver: Receiver) -> None:
    made = home.json("webhook", "create", receiver.url, "--dataset", "cities", "--label", "ops")
    home.json("webhook", "test", "ops")
    [request] = receiver.received
    told = home.ok("webhook", "receiving")
    sample = textwrap.dedent(told[told.index("  params = ") :])

    def check(secret: str, body: bytes) -> bool:
        known: dict[str, Any] = {"secret": secret, "body": body, "path": "/", "headers": {**request.headers}}
        known |= {"re": re, "hmac": hmac, "hashlib": hashlib, "base64": base64}
        exec(sample, known)  # noqa: S102 - as a reader of ours would
        return bool(known["good"])

    assert check(made["secret"], request.body)
    assert not check(made["secret"], request.body + b" ")
    assert not check(made["secret"][::-1], request.body)


def test_whoever_was_given_up_is_to_be_reactivated(home: Home, receiver: Receiver) -> None:
    made = home.json("webhook", "create", receiver.url, "--dataset", "cities", "--label", "ops")
    receiver.usual = Answer(status=410)
    home.ok("ingest", "cities", home.write("rows.ndjson", '{"id": 1}\n'))
    with open_node(load_settings(home.path / "home")) as node:
        _deliver(node)

    said = f"it was given up after 1 failure(s): `kamu-node webhook reactivate {made['id']}` tries again"
    assert said in home.run("webhook", "pause", "ops").told
    assert "unreachable since" in home.ok("webhook", "show", "ops")


def _deliver(node: Node) -> None:
    """As the scheduler and a worker do."""
    while node.webhooks.dispatcher.step():
        pass
    attempts = Attempts()
    FlowScheduler(
        database=node.database,
        outbox=node.outbox,
        flows=node.flows,
        chains=node.chains,
        orchestrator=attempts,
        clock=node.clock,
        max_running=4,
    ).step()
    for flow in attempts.waiting:
        attempt(node.flows, node.webhooks.deliverer, flow)
