"""Every setting in one table. Sources, later ones win: default, `config.toml`, environment, command line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError, did_you_mean

ENVIRONMENT_PREFIX = "PLUMBLINE_"


@dataclass(frozen=True)
class Setting:
    """One row of the table. `low` and `high` are inclusive and apply to numbers."""

    name: str
    default: Any
    unit: str
    help: str
    low: float | None = None
    high: float | None = None

    def parse(self, value: Any, source: str) -> Any:
        """The value in the default's type. Raises InputError naming source, setting, value, expectation."""
        kind = type(self.default)
        expected = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}[kind]
        if self.low is not None or self.high is not None:
            expected += f" from {self.low} to {self.high}"
        refusal = InputError(f"{source}: setting {self.name!r} is {value!r}; expected {expected}")
        if kind is bool:
            words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            if str(value).lower() not in words:
                raise refusal
            return words[str(value).lower()]
        if kind is int and isinstance(value, float) and not value.is_integer():
            raise refusal
        try:
            parsed = kind(value)
        except (TypeError, ValueError) as error:
            raise refusal from error
        if isinstance(parsed, int | float):
            below = self.low is not None and not parsed >= self.low
            above = self.high is not None and not parsed <= self.high
            if below or above:
                raise refusal
        return parsed


TABLE: tuple[Setting, ...] = (
    Setting("host", "127.0.0.1", "address", "Address the server listens on"),
    Setting("port", 5006, "port", "Port the server listens on", 0, 65535),
    Setting("require_login", False, "yes or no", "Ask for name and password on a loopback address too"),
    Setting("public_url", "", "URL", "Address that people use, where a proxy stands before the server"),
    Setting("oidc_issuer", "", "URL", "OpenID Connect issuer that people may sign in with; empty: none"),
    Setting("oidc_client_id", "", "name", "What the issuer knows this server as"),
    Setting("oidc_secret_env", "", "name", "Environment variable with the client's secret; empty: none"),
    Setting("oidc_name", "single sign-on", "words", "What the issuer is called on the sign-in page"),
    Setting("database_url", "", "URL", "Database; empty means plumbline.db in the workspace"),
    Setting("strategy", "typical_then_margin", "name", "Query strategy of new projects"),
    Setting("pace", "fixed", "name", "Policy by which pseudo-labels are proposed"),
    Setting(
        "label_budget",
        0,
        "items",
        "Human labels that are wanted in all; 0: 50 per class, or the whole pool where that is fewer",
        0,
        1_000_000_000,
    ),
    Setting(
        "stream_share", 0.10, "fraction", "Share of the asks drawn uniformly and never trained on", 0.01, 0.9
    ),
    Setting("overlap", 1, "people", "People who are asked each item of a new project", 1, 20),
    Setting("seed", 0, "integer", "Seed of the reserve's draw and of every ranking", 0, 2**31 - 1),
    Setting("head", "linear_softmax", "name", "Head of new projects"),
    Setting(
        "head_l2",
        0.0,
        "weight",
        "L2 penalty of heads that have one (scikit-learn's 1/C); 0: each head's own default",
        0.0,
        1e6,
    ),
    Setting(
        "deterministic",
        False,
        "yes or no",
        "Train on one thread and from nothing, so that the same labels give bit for bit the same head; slower",
    ),
    Setting("ranking_length", 2000, "items", "Items kept from each ranking of the pool", 20, 100_000),
    Setting(
        "lease_ttl_s", 900.0, "seconds", "How long an item stays promised to one browser tab", 5.0, 86_400.0
    ),
    Setting(
        "calibrate_from",
        20,
        "items",
        "Random-stream answers needed before a calibrator is fitted; those with more parameters wait for more",
        5,
        10_000,
    ),
    Setting(
        "job_lease_s",
        30.0,
        "seconds",
        "A job without a sign of life for this long counts as lost",
        1.0,
        3600.0,
    ),
    Setting(
        "llm_base_url",
        "",
        "URL",
        "OpenAI-compatible endpoint for LLM graders; 'scripted' for a trial without one",
    ),
    Setting("llm_model", "", "name", "Model at the endpoint"),
    Setting(
        "llm_key_env",
        "OPENAI_API_KEY",
        "name",
        "Environment variable with the endpoint's key; empty: none is needed",
    ),
    Setting(
        "llm_structured",
        "json_schema",
        "name",
        "How structure is asked for: json_schema, json_object or text",
    ),
    Setting("llm_price_in", -1.0, "USD per million tokens", "Price of prompts; -1: unknown", -1.0, 1e6),
    Setting("llm_price_out", -1.0, "USD per million tokens", "Price of answers; -1: unknown", -1.0, 1e6),
    Setting("llm_concurrency", 8, "calls", "Most calls to the endpoint at once", 1, 256),
    Setting("llm_deadline_s", 120.0, "seconds", "Limit for one question, retries included", 1.0, 3600.0),
    Setting("llm_max_tokens", 1024, "tokens", "Longest answer that is asked for", 64, 100_000),
    Setting("llm_budget_usd", 5.0, "USD", "Most that one run may cost, where prices are known", 0.0, 1e6),
    Setting("llm_budget_tokens", 5_000_000, "tokens", "Most tokens that one run may use", 0, 10**12),
    Setting("executor", "subprocess", "name", "Where jobs run: subprocess, inline or ray"),
    Setting("ray_address", "", "URL", "Ray cluster, such as ray://worker:10001; empty: this machine alone"),
    Setting("ray_gpus", 0.0, "GPUs", "What each Ray task is given", 0.0, 64.0),
    Setting(
        "webhook_hosts",
        "",
        "names",
        "Hosts that webhooks may tell: host or host:port, with commas; empty: none",
    ),
    Setting("webhook_key_env", "", "name", "Environment variable with the key that webhooks are signed with"),
    Setting("log_format", "text", "name", "How the server logs: text, or json (one object a line)"),
    Setting(
        "import_folders",
        "",
        "paths",
        "Folders on the server to import from where there is a login, with commas; empty: none",
    ),
    Setting("upload_limit_mib", 4096, "MiB", "Largest file that can be uploaded", 1, 1_048_576),
    Setting(
        "worker_threads", 0, "threads", "Threads of the training process; 0: one less than the cores", 0, 1024
    ),
)


class Settings(Mapping[str, Any]):
    """The settings in force, and for each where it came from."""

    def __init__(self, values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        self._values = dict(values)
        self.sources = dict(sources)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def load_settings(
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read every source. Raises one InputError that lists everything wrong in all of them."""
    by_name = {setting.name: setting for setting in TABLE}
    values = {setting.name: setting.default for setting in TABLE}
    sources = dict.fromkeys(values, "default")
    wrong: list[str] = []
    for source, given in _given(folder, os.environ if environment is None else environment, overrides or {}):
        for name, value in given.items():
            if name not in by_name:
                wrong.append(f"{source}: setting {name!r} does not exist; {did_you_mean(name, by_name)}")
                continue
            try:
                values[name] = by_name[name].parse(value, source)
                sources[name] = source
            except InputError as error:
                wrong.append(str(error))
    if wrong:
        raise InputError("\n".join(wrong))
    return Settings(values, sources)


def _given(
    folder: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    config = None if folder is None else folder / "config.toml"
    if config is not None and config.exists():
        try:
            yield str(config), tomllib.loads(config.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{config}: not valid TOML in UTF-8: {error}") from error
    yield (
        "environment",
        {
            key[len(ENVIRONMENT_PREFIX) :].lower(): value
            for key, value in environment.items()
            if key.startswith(ENVIRONMENT_PREFIX)
        },
    )
    yield "command line", {name: value for name, value in overrides.items() if value is not None}
