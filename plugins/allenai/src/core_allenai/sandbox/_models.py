"""The models the sandbox serves: ordinary ones, and `sandbox/…` names that fail or behave in a chosen way."""

from typing import Any

from attrs import evolve, field, frozen

SYSTEM_PROMPT = "You are a canned answer machine; say so."


@frozen(kw_only=True)
class Model:
    """One row of the emulated service's model table."""

    id: str
    name: str
    description: str = "Answers from the sandbox are canned; no model is asked."
    host: str = "ai2_model_hub"
    family: str = "olmo"
    internal: bool = False
    deprecated: bool = False
    system_prompt: str | None = None
    can_think: bool = False
    can_call_tools: bool = False
    tools: tuple[str, ...] = ()
    prompt_type: str = "text_only"
    file_types: tuple[str, ...] = ()
    max_files: int | None = None
    max_total_file_size: int | None = None
    require_file: str = "no_requirement"
    files_in_followups: bool = False
    upper: dict[str, float] = field(factory=lambda: {"temperature": 1.0, "top_p": 1.0, "max_tokens": 2048})
    lower: dict[str, float] = field(factory=lambda: {"temperature": 0.0, "top_p": 0.0, "max_tokens": 1})
    default: dict[str, float] = field(factory=lambda: {"temperature": 0.7, "top_p": 1.0, "max_tokens": 2048})

    @property
    def takes_files(self) -> bool:
        """Whether files are looked at."""
        return self.prompt_type != "text_only"

    def entry(self) -> dict[str, Any]:
        """Return the row as the v4 list shows it; the system prompt is never shown."""
        return self._entry() | self._limits() | self._file_entry()

    def _entry(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "host": self.host,
            "name": self.name,
            "description": self.description,
            "information_url": None,
            "model_type": "chat",
            "internal": self.internal,
            "system_prompt": None,
            "family_id": self.family,
            "family_name": self.family.title(),
            "accepts_files": self.takes_files,
            "available_tools": [{"name": name, "mcpServerId": None, "description": name} for name in self.tools],
            "can_call_tools": self.can_call_tools,
            "can_think": self.can_think,
            "infini_gram_index": None,
            "stop_default": None,
            "is_visible": not self.deprecated,
            "is_deprecated": self.deprecated,
            "prompt_type": self.prompt_type,
        }

    def _limits(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, step in (("temperature", 0.01), ("top_p", 0.01), ("max_tokens", 1)):
            values[f"{name}_default"] = self.default[name]
            values[f"{name}_lower"] = self.lower[name]
            values[f"{name}_upper"] = self.upper[name]
            values[f"{name}_step"] = step
        return values

    def _file_entry(self) -> dict[str, Any]:
        if not self.takes_files:
            return {}
        return {
            "accepted_file_types": list(self.file_types),
            "max_files_per_message": self.max_files,
            "require_file_to_prompt": self.require_file,
            "max_total_file_size": self.max_total_file_size,
            "allow_files_in_followups": self.files_in_followups,
        }


_TOOL_MODEL = Model(
    id="Olmo-3.1-32B-Instruct",
    name="Olmo 3.1 32B Instruct",
    system_prompt=SYSTEM_PROMPT,
    can_call_tools=True,
    tools=("create_random_number",),
)
_PLAIN_MODEL = Model(id="cs-Llama-3.1-Tulu-3.1-8B", name="Tulu 3.1 8B", host="cirrascale", family="tulu")
_IMAGE_MODEL = Model(
    id="molmo2-8b",
    name="Molmo 2 8B",
    family="molmo",
    prompt_type="multi_modal",
    file_types=("image/*",),
    max_files=3,
    max_total_file_size=1_000_000,
)

PUBLIC: tuple[Model, ...] = (
    _TOOL_MODEL,
    Model(id="Olmo-3.1-32B-Think", name="Olmo 3.1 32B Think", system_prompt=SYSTEM_PROMPT, can_think=True),
    Model(id="Olmo-3-7B-Instruct", name="Olmo 3 7B Instruct"),
    _PLAIN_MODEL,
    Model(id="cs-Llama-3.1-Tulu-3-70B", name="Tulu 3 70B", host="cirrascale", family="tulu"),
    _IMAGE_MODEL,
    evolve(_IMAGE_MODEL, id="molmo2-4b", name="Molmo 2 4B", require_file="first_message", files_in_followups=True),
    Model(id="olmoasr", name="OLMoASR", prompt_type="files_only", file_types=("audio/*",)),
)
"""The models of the emulated list; `olmoasr` takes files only and is no chat model."""

CHOSEN_BEHAVIOUR: tuple[str, ...] = (
    "all-tools",
    "bad-gateway",
    "captcha",
    "context-length",
    "cut-midway",
    "empty",
    "error-after-text",
    "error-before-text",
    "html",
    "length",
    "moderated",
    "no-end",
    "overloaded",
    "rate-limited",
    "retired",
    "save-failed",
    "server-error",
    "server-tool",
    "slow-start",
    "thinking",
    "too-many-requests",
    "tool-error",
    "tool-limit",
    "unicode",
)
"""What can stand after `sandbox/`; these models are served but not listed to people."""


def _chosen(name: str) -> Model:
    retired = name == "retired"
    return evolve(
        _TOOL_MODEL,
        id=f"sandbox/{name}",
        name=f"Sandbox: {name}",
        internal=not retired,
        deprecated=retired,
        host="inferd" if retired else _TOOL_MODEL.host,
        can_think=name == "thinking",
    )


MODELS: tuple[Model, ...] = (*PUBLIC, *map(_chosen, CHOSEN_BEHAVIOUR))


def camel(name: str) -> str:
    """Return a snake_case name in camelCase, as v5 spells it."""
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def listing(models: tuple[Model, ...], *, camel_case: bool) -> list[dict[str, Any]]:
    """Return the model list in the spelling of v4 or of v5."""
    entries = [model.entry() for model in models]
    return [{camel(key): value for key, value in entry.items()} for entry in entries] if camel_case else entries
