"""Inspect's evaluation logs, as one .json document or as an .eval archive with a file per sample."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError, Problem
from plumbline_backend.importers.outputs import FoundOutput, FoundVerdict, OutputsFile, sorted_out
from plumbline_backend.importers.outputs_json import load_json, parse_document, score_of, state_of, text_of
from plumbline_backend.importers.strict_json import plain

MAX_SAMPLE_BYTES = 256 * 2**20
"""Of one sample, unpacked; larger ones are refused before they are read."""


def read(path: Path, mapping: Mapping[str, Any] | None) -> OutputsFile:
    """Every sample with its scores as imported judges. A mapping is not needed. Raises InputError."""
    del mapping
    header, samples = _archive(path) if zipfile.is_zipfile(path) else _document(path)
    evaluation = header.get("eval")
    model = text_of(evaluation.get("model")) if isinstance(evaluation, Mapping) else ""
    outputs, problems = sorted_out(_output(path.name, n, each, model) for n, each in enumerate(samples, 1))
    return OutputsFile("inspect", outputs, problems)


def _document(path: Path) -> tuple[Mapping[str, Any], list[Any]]:
    document = load_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("samples"), list):
        raise InputError(f"{path.name}: found no list of samples; expected an Inspect log")
    return document, document["samples"]


def _archive(path: Path) -> tuple[Mapping[str, Any], list[Any]]:
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.startswith("samples/") and n.endswith(".json"))
        if not names:
            raise InputError(f"{path.name}: the archive has no samples; expected an Inspect .eval log")
        large = [n for n in names if archive.getinfo(n).file_size > MAX_SAMPLE_BYTES]
        if large:
            size = archive.getinfo(large[0]).file_size
            raise InputError(
                f"{path.name}: {large[0]} has {size:,} bytes; expected at most {MAX_SAMPLE_BYTES:,}"
            )
        try:
            samples = [_member(path, archive, name) for name in names]
            header = _member(path, archive, "header.json") if "header.json" in archive.namelist() else {}
        except (UnicodeDecodeError, zipfile.BadZipFile, NotImplementedError) as error:
            raise InputError(f"{path.name}: {error}; expected JSON files in a zip archive") from error
    return header if isinstance(header, Mapping) else {}, samples


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> Any:
    return parse_document(f"{path.name}/{name}", archive.read(name).decode("utf-8-sig"))


def _output(file: str, number: int, sample: Any, model: str) -> FoundOutput | Problem:
    if not isinstance(sample, Mapping):
        return Problem(file, "an object", number, value=text_of(sample)[:80])
    output = sample.get("output")
    answer = _completion(output) if isinstance(output, Mapping) else None
    if answer is None:
        return Problem(file, "output.completion or output.choices", number, "output", text_of(output)[:80])
    epoch = text_of(sample.get("epoch")) or "1"
    key = text_of(sample.get("id")) or str(number)
    target = sample.get("target")
    metadata = sample.get("metadata")
    assert isinstance(output, Mapping)  # as the answer was found in it
    return FoundOutput(
        row=number,
        response=answer,
        key=key if epoch == "1" else f"{key} (epoch {epoch})",
        prompt=_conversation(sample.get("input")),
        system=text_of(output.get("model")) or model,
        reference="\n".join(text_of(t) for t in target) if isinstance(target, list) else text_of(target),
        metadata=plain(metadata) if isinstance(metadata, Mapping) else {},
        verdicts=tuple(_verdicts(sample.get("scores"))),
    )


def _completion(output: Mapping[str, Any]) -> str | None:
    if isinstance(output.get("completion"), str) and output["completion"]:
        return str(output["completion"])
    choices = output.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        return None
    message = choices[0].get("message")
    return _content(message.get("content")) if isinstance(message, Mapping) else None


def _content(content: Any) -> str:
    """A message's text; of a list of parts the texts."""
    if not isinstance(content, list):
        return text_of(content)
    parts = [p.get("text") if isinstance(p, Mapping) else p for p in content]
    return "\n".join(text_of(part) for part in parts if part)


def _conversation(given: Any) -> str:
    """The input: a text, or messages with their roles."""
    if not isinstance(given, list):
        return text_of(given)
    messages = [m for m in given if isinstance(m, Mapping)]
    return "\n\n".join(f"{text_of(m.get('role'))}: {_content(m.get('content'))}" for m in messages)


def _verdicts(scores: Any) -> list[FoundVerdict]:
    found = []
    for name, score in scores.items() if isinstance(scores, Mapping) else []:
        if not isinstance(score, Mapping):
            continue
        value, explanation = score.get("value"), text_of(score.get("explanation"))
        values = value.items() if isinstance(value, Mapping) else [("", value)]
        for part, each in values:
            judge = f"{name}: {part}" if part else str(name)
            found.append(FoundVerdict(judge, state_of(each), score_of(each), explanation))
    return found
