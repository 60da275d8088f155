"""What the service checks before it answers, in its order, and the checked turn that comes out."""

import re
from typing import Any

from attrs import define, field

from core_allenai.sandbox._forms import Form
from core_allenai.sandbox._models import Model
from core_allenai.sandbox._refusals import Refused, captcha, missing
from core_allenai.sandbox._store import Store, Stored

OPTIONS = ("temperature", "top_p", "max_tokens")
_FORBIDDEN = (
    "You don't have the permission to access the requested resource. "
    "It is either read-protected or not readable by the server."
)


@define(kw_only=True)
class Person:
    """Whoever sent the request; a bearer token makes a person known."""

    id: str
    known: bool = False


@define(kw_only=True, eq=False)
class Turn:
    """One checked request for an answer."""

    person: Person
    model: Model
    role: str
    content: str
    parent: Stored | None
    opts: dict[str, Any]
    private: bool
    tools: list[dict[str, Any]] = field(factory=list)
    selected_tools: list[str] = field(factory=list)
    tool_call: dict[str, Any] | None = None
    files: int = 0


@define(kw_only=True, eq=False)
class Rules:
    """How strict this emulator is, and how the parts of the service differ."""

    models: dict[str, Model]
    store: Store
    flagged: tuple[str, ...]
    captcha_demanded: bool
    v5: bool
    needs_host: bool = False

    def check(self, form: Form, person: Person) -> Turn:
        """Return the turn a form asks for.

        Raises:
            Refused: A rule of the service is broken.
        """
        role = form.one("role") or "user"
        model = self._model(form, role)
        parent = self._parent(form, role, person=person)
        private = self._private(form, person, parent=parent)
        content = self._content(form, role)
        tools = form.json("tool_definitions") or []
        turn = Turn(
            person=person,
            model=model,
            role=role,
            content=content,
            parent=parent,
            opts=self._options(form, model, parent=parent),
            private=private,
            tools=tools if form.flag("enable_tool_calling") and model.can_call_tools else [],
            selected_tools=form.many("selected_tools"),
            tool_call=self._tool_call(form, role, parent=parent),
            files=len(form.files),
        )
        self._check_files(form, turn)
        self._check_safety(form, turn)
        return turn

    def _model(self, form: Form, role: str) -> Model:
        name = form.one("model")
        if name is None:
            raise missing("model")
        if self.needs_host and form.one("host") is None:
            raise missing("host")
        if role not in ("user", "tool_call_result"):
            raise Refused("invalid" if self.v5 else "server", "Internal Server Error", ["role"])
        model = self.models.get(name)
        if model is None:
            raise Refused("model", f"Model with ID '{name}' not found" if self.v5 else f"Invalid model {name}")
        if model.prompt_type == "files_only":
            raise Refused("model-not-available", "This model isn't available yet")
        if self.needs_host and form.one("host") != model.host:
            raise Refused("model", "Invalid model/host combination")
        return model

    def _parent(self, form: Form, role: str, *, person: Person) -> Stored | None:
        parent_id = form.one("parent")
        if parent_id is None:
            if role == "tool_call_result":
                raise missing("parent")
            return None
        parent = self.store.get(parent_id)
        if parent is None:
            state = f"{parent_id} not exist" if self.v5 else f"{parent_id} not found"
            raise Refused("parent", f"{'' if self.v5 else 'Value error, '}Parent message {state}")
        if any(self.store.get(message.id) is None for message in self.store.chain(parent)):
            words = "Intermediate message in thread with ID {} was not found when trying to access it as a parent"
            raise Refused(
                "parent", (words if self.v5 else "Value error, Message has an invalid root {}").format(parent.root)
            )
        if parent.role == role != "tool_call_result":
            raise Refused("roles", "Parent and child must have different roles")
        if parent.creator != person.id:
            raise Refused("owner", "Cannot create message when not creator" if self.v5 else _FORBIDDEN)
        return parent

    def _private(self, form: Form, person: Person, *, parent: Stored | None) -> bool:
        """v5 stores no visibility and compares with what it did not store; v4 makes anonymous threads private."""
        asked = form.flag("private")
        if not self.v5 and not person.known:
            asked = True
        if parent is not None and asked != (False if self.v5 else parent.private):
            raise Refused("visibility", "Visibility must be identical for all messages in a thread")
        return asked and not self.v5

    def _content(self, form: Form, role: str) -> str:
        content = form.one("content")
        if not content and not (role == "user" and form.many("input_parts")):
            raise Refused("invalid", "Value error, One of content or inputParts is required", [])
        return (content or "").replace("\r\n", "\n")

    def _options(self, form: Form, model: Model, *, parent: Stored | None) -> dict[str, Any]:
        """The model's defaults, then the parent's, then the request's; v4 takes a zero for "not given"."""
        if form.one("n") not in (None, "1"):
            raise Refused("invalid", "Input should be less than or equal to 1", ["n"])
        merged: dict[str, Any] = dict(model.default)
        for name in OPTIONS:
            asked = form.number(name)
            inherited = parent.opts.get(name) if parent else None
            merged[name] = merged[name] if inherited is None else inherited
            if asked is None:
                continue
            bound = "lower" if asked < model.lower[name] else "upper" if asked > model.upper[name] else ""
            if bound:
                relation = "greater" if bound == "lower" else "less"
                limit = getattr(model, bound)[name]
                words = name.replace("_", " ") if name == "max_tokens" else name
                raise Refused(
                    "limit",
                    f"Default {words} must be {relation} than or equal to the configured {bound} limit of {limit}",
                )
            merged[name] = asked if asked or self.v5 else model.default[name]
        return merged | {"stop": form.many("stop"), "n": 1, "logprobs": None}

    def _tool_call(self, form: Form, role: str, *, parent: Stored | None) -> dict[str, Any] | None:
        if role != "tool_call_result" or parent is None:
            return None
        wanted = form.one("tool_call_id")
        if wanted is None:
            raise missing("toolCallId")
        for message in reversed(self.store.chain(parent)):
            for call in message.tool_calls if message.role == "assistant" else ():
                if call["toolCallId"] == wanted:
                    return call
        raise Refused("roles", "Can not find tool id in last assistant message")

    def _check_files(self, form: Form, turn: Turn) -> None:
        model = turn.model
        if not model.takes_files:
            return
        count = len(form.files)
        follow_up = turn.parent is not None
        needed = model.require_file == "all_messages" or (model.require_file == "first_message" and not follow_up)
        if needed and not count:
            raise Refused("file", "This model requires a file to be sent with the first message")
        if count and follow_up and not model.files_in_followups:
            raise Refused("file", "This model doesn't allow files to be sent in follow-up messages")
        if model.max_files is not None and count > model.max_files:
            raise Refused("file", f"This model only allows {model.max_files} files per message")
        total = sum(len(upload.data) for upload in form.files)
        if model.max_total_file_size is not None and total > model.max_total_file_size:
            raise Refused("file", f"This model has a max total file size of {model.max_total_file_size} B")
        for upload in form.files:
            if not any(re.search(kind, upload.media_type) for kind in model.file_types):
                raise Refused("file", f"This model only accepts files of types {list(model.file_types)}")

    def _check_safety(self, form: Form, turn: Turn) -> None:
        if form.flag("bypass_safety_check"):
            raise Refused("setting", "User is not allowed to change this setting")
        if self.captcha_demanded or turn.model.id == "sandbox/captcha":
            raise captcha()
        if turn.model.id == "sandbox/moderated" or any(word in turn.content for word in self.flagged):
            raise Refused("prompt", "Text was flagged as inappropriate" if self.v5 else "inappropriate_prompt_text")
