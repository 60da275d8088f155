"""The settings of one call that only these providers have."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import attrs
from attrs import field, frozen

from core_chat.errors import InvalidRequestError, close_names, hint
from core_chat.requests import check_mapping, number, text
from core_huggingface._wires import WIRES, Wire
from core_huggingface.formats import FORMATS

Task: TypeAlias = Literal["text-generation", "text-to-image"]
TASKS: tuple[Task, ...] = get_args(Task)


def one_of(*known: str) -> Any:
    """Return an attrs validator: None or one of some words."""

    def check(_instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if value is not None and value not in known:
            close = hint(close_names(str(value), known))
            raise InvalidRequestError(
                f"{attribute.name} must be one of {', '.join(known)}, not {value!r}{close}", parameter=attribute.name
            )

    return check


def _variables(value: Any) -> dict[str, Any]:
    return check_mapping(value, "template_variables")


@frozen(kw_only=True)
class ImageOptions:
    """How a picture is made, in `options={…}`; width, height, aspect_ratio and seed are parameters of the call.

    Attributes:
        prompt: What the picture is to show, instead of the last user message.
        negative_prompt: What it is not to show.
        num_inference_steps: How often it is refined.
        guidance_scale: How closely the prompt is followed.
    """

    prompt: str | None = field(default=None, validator=text())
    negative_prompt: str | None = field(default=None, validator=text())
    num_inference_steps: int | None = field(default=None, validator=number(1, whole=True))
    guidance_scale: float | None = field(default=None, validator=number(0))


IMAGE_ONLY = ("negative_prompt", "num_inference_steps", "guidance_scale")


@frozen(kw_only=True)
class InferenceOptions(ImageOptions):
    """How a prompt is made and sent, in `options={…}`, beside what `ImageOptions` has; `prompt` is sent as it is.

    Attributes:
        format: A named format instead of the model's template.
        end_token: What ends a turn of the format "custom".
        template: A chat template instead of the model's own.
        template_variables: What the template takes beside the usual, such as `{"enable_thinking": False}`.
        api: The wire, "tgi" or "completions"; None finds out which one there is.
        task: "text-generation" or "text-to-image"; None is what the model is known for.
    """

    format: str | None = field(default=None, validator=one_of(*FORMATS))
    end_token: str | None = field(default=None, validator=text())
    template: str | None = field(default=None, validator=text())
    template_variables: Mapping[str, Any] = field(factory=dict, converter=_variables)
    api: Wire | None = field(default=None, validator=one_of(*WIRES))
    task: Task | None = field(default=None, validator=one_of(*TASKS))

    @property
    def prompt_needs_model(self) -> bool:
        """Whether the Hub's data of the model has a part in the prompt."""
        if self.prompt is not None or self.template is not None:
            return False
        return self.format is None or (self.format == "custom" and self.end_token is None)


TEXT_ONLY = ("format", "end_token", "template", "template_variables", "api")
