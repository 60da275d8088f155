"""Meta's models: the default one, one with a system prompt, and an older one with other names for the same things."""

from core_replicate.sandbox.models import Model
from core_replicate.sandbox.schemas import PROMPT, TOP_P, integer, number, string, text_stream

_LLAMA_3 = {
    "max_tokens": integer(default=512, minimum=1),
    "min_tokens": integer(default=0, minimum=0),
    "temperature": number(default=0.6, minimum=0, maximum=5),
    "top_p": TOP_P,
    "top_k": integer(default=50, minimum=0),
    "presence_penalty": number(default=1.15),
    "frequency_penalty": number(default=0.2),
    "prompt_template": string(default="{prompt}"),
}

META_LLAMA_3_70B = Model(
    owner="meta",
    name="meta-llama-3-70b-instruct",
    description="A language model with 70 billion parameters, tuned for chat (sandbox)",
    schema=text_stream(PROMPT | _LLAMA_3),
)
META_LLAMA_3_8B = Model(
    owner="meta",
    name="meta-llama-3-8b-instruct",
    description="A language model with 8 billion parameters, tuned for chat (sandbox)",
    schema=text_stream(
        PROMPT
        | {"system_prompt": string(default="You are a helpful assistant")}
        | _LLAMA_3
        | {"stop_sequences": string(), "length_penalty": number(default=1), "seed": integer()}
    ),
)
LLAMA_2_70B_CHAT = Model(
    owner="meta",
    name="llama-2-70b-chat",
    description="An older language model whose limit is called max_new_tokens (sandbox)",
    schema=text_stream(
        PROMPT
        | {
            "system_prompt": string(default="You are a helpful assistant."),
            "max_new_tokens": integer(default=128, minimum=1.0),
            "min_new_tokens": integer(default=-1, minimum=-1.0),
            "temperature": number(default=0.75, minimum=0.01, maximum=5.0),
            "top_p": TOP_P,
            "top_k": integer(default=50, minimum=0.0),
            "stop_sequences": string(),
            "seed": integer(),
        }
    ),
)
