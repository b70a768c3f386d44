"""Datasets that recorded calls of the web platform read, made by the calls that made them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from tests.support.served_node import ServedNode

RECORDED = Path(__file__).with_name("recorded_rest") / "webui"
_CREATED = re.compile(r"create (\S+) \(public\)")
_RUN = re.compile(r"trigger(?:Ingest|Transform)Flow on (\S+)")
_WATERMARK = re.compile(r'watermark: "([^"]+)"')
_PLACE = re.compile(r"\$\{(dataset|block) ([^}#]+)(?:#(\d+))?\}")

Json = Any


class Seed:
    """Plays the calls about some datasets; knows what stands for them in recorded answers."""

    def __init__(self, served: ServedNode, files: Path, datasets: frozenset[str]) -> None:
        self._served = served
        self._files = files
        self._datasets = datasets

    def play(self) -> None:
        """One after the other, as they were made."""
        for step in json.loads((RECORDED / "seed.json").read_text())["steps"]:
            if "file" in step:
                (self._files / step["file"]["name"]).write_text(step["file"]["content"])
            elif "rest" in step:
                self._push(step["as"], step["rest"])
            elif created := _CREATED.fullmatch(step["note"]):
                self._create(created[1], step)
            elif step["note"] == "watermark":
                self._set_watermark(step)
            elif run := _RUN.fullmatch(step["note"]):
                self._pull(run[1])

    def filled(self, text: str) -> str:
        """With identities and blocks of this node for those of the recorded one."""
        return _PLACE.sub(lambda found: self._value(*found.groups()), text)

    def _create(self, name: str, step: Json) -> None:
        if name in self._datasets:
            manifest = step["variables"]["s"].replace("${FILES}", self._files.as_uri())
            self._served.create(manifest, owner=step["as"])

    def _push(self, as_: str, call: Json) -> None:
        if call["path"].removeprefix("/").removesuffix("/ingest") in self._datasets:
            headers = {"content-type": call["contentType"]}
            answer = self._served.request("POST", call["path"], as_=as_, content=call["body"], headers=headers)
            assert answer.is_success, answer.text

    def _pull(self, name: str) -> None:
        if name in self._datasets:
            admin = self._served.node.auth.admin_caller()
            self._served.node.coordinator.pull(admin, DatasetAlias.parse(name))

    def _set_watermark(self, step: Json) -> None:
        place, moment = _PLACE.fullmatch(step["variables"]["d"]), _WATERMARK.search(step["graphql"])
        assert place is not None
        assert moment is not None
        admin = self._served.node.auth.admin_caller()
        dataset = DatasetAlias.parse(place[2])
        self._served.node.coordinator.set_watermark(admin, dataset, Timestamp.parse(moment[1]))

    def _value(self, what: str, name: str, number: str | None) -> str:
        admin = self._served.node.auth.admin_caller()
        entry = self._served.node.datasets.resolve(admin, DatasetAlias.parse(name))
        return str(entry.id) if what == "dataset" else str(self._block(entry.id, int(number or 0)))

    def _block(self, dataset: Any, number: int) -> Multihash:
        blocks = self._served.node.chains.blocks(dataset)
        return next(each.block_hash for each in blocks if each.block.sequence_number == number)
