"""The models that work: one of each family, with the input names, types and limits of the real one."""

from core_replicate.sandbox.llamas import LLAMA_2_70B_CHAT, META_LLAMA_3_8B, META_LLAMA_3_70B
from core_replicate.sandbox.models import Behaviour, Model
from core_replicate.sandbox.schemas import (
    FILES,
    OBJECT,
    PROMPT,
    TEXT,
    TOP_P,
    array,
    boolean,
    document,
    integer,
    number,
    one_of,
    string,
    text_stream,
    uri,
)

_MESSAGES = array({"type": "object"})
_OPENAI = PROMPT | {
    "system_prompt": string(),
    "messages": _MESSAGES,
    "image_input": array(uri()),
    "temperature": number(default=1, minimum=0, maximum=2),
    "max_completion_tokens": integer(default=4096),
    "top_p": number(default=1, minimum=0, maximum=1),
    "presence_penalty": number(default=0, minimum=-2, maximum=2),
    "frequency_penalty": number(default=0, minimum=-2, maximum=2),
}


GPT_4_1_MINI = Model(
    owner="openai",
    name="gpt-4.1-mini",
    description="Takes messages, answers in one string and does not stream (sandbox)",
    schema=document(
        _OPENAI,
        required=(),
        output=TEXT,
    ),
    style="string",
    collections=("language-models",),
    behaviour=Behaviour(streams=False),
)
GPT_5_STRUCTURED = Model(
    owner="openai",
    name="gpt-5-structured",
    description="Answers with an object that holds the text (sandbox)",
    schema=document(
        PROMPT
        | {"instructions": string(), "input_item_list": _MESSAGES, "max_output_tokens": integer()}
        | {"reasoning_effort": one_of("minimal", "low", "medium", "high", default="minimal")},
        required=(),
        output=OBJECT,
    ),
    style="object",
    collections=("language-models",),
    behaviour=Behaviour(streams=False),
)
GPT_4O_MINI = Model(
    owner="openai",
    name="gpt-4o-mini",
    description="Takes messages and streams (sandbox)",
    schema=text_stream(
        _OPENAI,
        required=(),
    ),
)
GEMINI_2_5_FLASH = Model(
    owner="google",
    name="gemini-2.5-flash",
    description="Calls its system message system_instruction and counts tokens in the logs (sandbox)",
    schema=text_stream(
        PROMPT
        | {
            "images": array(uri()),
            "system_instruction": string(),
            "temperature": number(default=1, minimum=0, maximum=2),
            "top_p": number(default=0.95, minimum=0, maximum=1),
            "max_output_tokens": integer(default=65535, minimum=1, maximum=65535),
            "thinking_budget": integer(minimum=0, maximum=24576),
            "dynamic_thinking": boolean(default=False),
        }
    ),
    counts_in_logs=True,
)
DEEPSEEK_R1 = Model(
    owner="deepseek-ai",
    name="deepseek-r1",
    description="Thinks aloud in a <think> block (sandbox)",
    schema=text_stream(
        PROMPT
        | {
            "max_tokens": integer(default=20480, minimum=1),
            "temperature": number(default=0.1),
            "top_p": number(default=1),
            "presence_penalty": number(default=0),
            "frequency_penalty": number(default=0),
        }
    ),
    thinks=True,
)
GRANITE_3_3 = Model(
    owner="ibm-granite",
    name="granite-3.3-8b-instruct",
    description="Streams only when its input `stream` is true (sandbox)",
    schema=text_stream(
        PROMPT
        | {
            "system_prompt": string(),
            "messages": _MESSAGES,
            "tools": _MESSAGES,
            "documents": _MESSAGES,
            "max_tokens": integer(default=512),
            "temperature": number(default=0.6),
            "top_p": TOP_P,
            "top_k": integer(default=50),
            "stop_sequences": string(),
            "seed": integer(),
            "thinking": boolean(default=False),
            "stream": boolean(default=False),
        },
        required=(),
    ),
)
CLAUDE_4_SONNET = Model(
    owner="anthropic",
    name="claude-4-sonnet",
    description="Looks at an image and wants max_tokens to be 1024 at least (sandbox)",
    schema=text_stream(
        PROMPT
        | {
            "image": uri(),
            "system_prompt": string(default=""),
            "max_tokens": integer(default=8192, minimum=1024, maximum=64000),
            "max_image_resolution": number(default=0.5, minimum=0.001, maximum=2),
            "extended_thinking": boolean(default=False),
            "thinking_budget_tokens": integer(default=1024, minimum=1024, maximum=64000),
        }
    ),
)
FLAN_T5_XL = Model(
    owner="replicate",
    name="flan-t5-xl",
    description="A community model, run by version, whose limit is called max_length (sandbox)",
    schema=text_stream(
        PROMPT
        | {
            "max_length": integer(default=50, minimum=1),
            "temperature": number(default=0.75, minimum=0.01, maximum=5),
            "top_p": number(default=1, minimum=0.01, maximum=1),
            "repetition_penalty": number(default=1, minimum=0.01, maximum=5),
        }
    ),
    official=False,
    versions=2,
    collections=("language-models",),
)
FLUX_SCHNELL = Model(
    owner="black-forest-labs",
    name="flux-schnell",
    description="Makes pictures; the sandbox's are small, of one colour, and always PNG (sandbox)",
    schema=document(
        PROMPT
        | {
            "aspect_ratio": one_of("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "9:16", default="1:1"),
            "num_outputs": integer(default=1, minimum=1, maximum=4),
            "seed": integer(),
            "output_format": one_of("png", default="png"),
            "go_fast": boolean(default=True),
        },
        required=("prompt",),
        output=FILES,
    ),
    style="pictures",
    collections=("text-to-image",),
)

WORKING: tuple[Model, ...] = (
    META_LLAMA_3_70B,
    META_LLAMA_3_8B,
    LLAMA_2_70B_CHAT,
    GPT_4O_MINI,
    GPT_4_1_MINI,
    GPT_5_STRUCTURED,
    GEMINI_2_5_FLASH,
    CLAUDE_4_SONNET,
    DEEPSEEK_R1,
    GRANITE_3_3,
    FLAN_T5_XL,
    FLUX_SCHNELL,
)
