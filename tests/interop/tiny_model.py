"""Builds a tiny random Llama with a chat template, without a download: `python tiny_model.py FOLDER`."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SENTENCES = [
    "the sky is blue because small particles scatter the light of the sun",
    "a tiny random model says whatever its weights make of a question",
    "héllo wörld, how are you today? 1 2 3 4 5 6 7 8 9 0",
]


def _tokenizer() -> Any:
    """Return a byte-level tokenizer that knows a few words."""
    tokenizers = import_module("tokenizers")
    levels, special = tokenizers.pre_tokenizers.ByteLevel, ["<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = levels(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=levels.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES * 20, trainer)
    return import_module("transformers").PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>", chat_template=TEMPLATE
    )


def build(folder: Path) -> None:
    """Write the model and its tokenizer."""
    tokenizer = _tokenizer()
    transformers = import_module("transformers")
    import_module("torch").manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
