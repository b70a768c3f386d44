"""A whole node in a folder, served over a real socket, with accounts and a clock of the test's own."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from kamu_api.app import create_app
from kamu_assets.auth.model import Account, Caller
from kamu_assets.auth.store import AccountStore, TokenStore
from kamu_assets.auth.tokens import AccessToken
from kamu_assets.clock import ManualClock
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.node import Node, open_node
from kamu_assets.odf.identity import AccountID, AccountName, DatasetAlias
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.settings import Settings, load_settings
from kamu_gateway.edge.connections import BoundedConnection

NOW = Timestamp.parse("2050-01-02T03:04:05Z")


@dataclass
class ServedNode:
    """Talk to it over HTTP; look inside through `node`."""

    node: Node
    app: FastAPI
    clock: ManualClock
    base: str
    http: httpx.Client
    tokens: dict[str, str] = field(default_factory=dict)

    def account(self, name: str, *, is_admin: bool = False) -> Account:
        """An account with a token, made when it is first named."""
        account = Account(AccountID.seeded(name.encode()), AccountName(name), is_admin=is_admin, created_at=NOW)
        if name not in self.tokens:
            token = AccessToken.generate()
            with self.node.database.transaction() as tx:
                AccountStore().ensure(tx, account)
                TokenStore().ensure(tx, token, account.id, name="test", now=NOW)
            self.tokens[name] = token.reveal()
        return account

    def create(self, manifest: str, *, owner: str = "alice") -> DatasetEntry:
        return self.node.datasets.create_from_snapshot(Caller(self.account(owner)), manifest)

    def request(self, method: str, path: str, *, as_: str | None = "alice", **kwargs: Any) -> httpx.Response:
        headers = httpx.Headers(kwargs.pop("headers", {}))
        if as_ is not None:
            self.account(as_)
            headers["authorization"] = f"Bearer {self.tokens[as_]}"
        return self.http.request(method, self.base + path, headers=headers, **kwargs)

    def push(self, dataset: str, body: Any, media_type: str | None = None, **headers: str) -> httpx.Response:
        given = headers if media_type is None else {"content-type": media_type, **headers}
        return self.request("POST", f"/{dataset}/ingest", content=body, headers=given)

    def head(self, dataset: str) -> Multihash:
        """The head of `account/name`."""
        admin = self.node.auth.admin_caller()
        return self.node.datasets.summary(admin, DatasetAlias.parse(dataset)).head

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.base.removeprefix("http://").partition(":")
        return host, int(port)


@contextlib.contextmanager
def serving(home: Path, **overrides: Any) -> Iterator[ServedNode]:
    """The node in `home` on a free port."""
    clock = ManualClock(NOW)
    with open_node(a_settings(home, **overrides), clock=clock) as node:
        node.warm_up()
        app = create_app(node)
        with _on_a_socket(app) as base, httpx.Client(timeout=60) as http:
            yield ServedNode(node, app, clock, base, http)


def a_settings(home: Path, **overrides: Any) -> Settings:
    """Small pools and no syncing: tests are about behaviour."""
    sections: dict[str, Any] = {
        "storage": {"durability": "fast"},
        "engine": {"workers": 1},
        "query": {"workers": 1},
    }
    for name, values in overrides.items():
        sections[name] = {**sections.get(name, {}), **values}
    return load_settings(home, **sections)


@contextlib.contextmanager
def _on_a_socket(app: FastAPI) -> Iterator[str]:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", http=BoundedConnection)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
